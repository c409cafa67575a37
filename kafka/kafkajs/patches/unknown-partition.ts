import { builtOtherwise, internal } from './internals.ts';

/** What the broker answers about a partition that it does not know. */
const unknownTopicOrPartition = 3;

/**
 * kafkajs leaves out of its requests a partition that is not in what it has read of the topic, and says nothing: a batch for one that was added a moment ago,
 * which not every broker knows at once, is not sent, and taken for sent. It is refused now as the broker would refuse it, and so kafkajs reads the topic's
 * partitions again, and tries again.
 *
 * @throws Error when kafkajs is built otherwise
 */
export function patchUnknownPartition(): void {
  const [clusters, errors] = [internal('src/cluster'), internal('src/protocol/error')];
  const prototype: unknown = typeof clusters === 'function' ? clusters.prototype : undefined;
  const refusal: unknown = typeof errors === 'object' && errors !== null ? Reflect.get(errors, 'createErrorFromCode') : undefined;
  if (typeof prototype !== 'object' || prototype === null || typeof refusal !== 'function') throw builtOtherwise('clusters');
  const find: unknown = Reflect.get(prototype, 'findLeaderForPartitions');
  if (typeof find !== 'function') throw builtOtherwise('clusters');
  Reflect.set(
    prototype,
    'findLeaderForPartitions',
    function ofCluster(this: unknown, topic: string, partitions: readonly unknown[]): unknown {
      const leaders: unknown = Reflect.apply(find, this, [topic, partitions]);
      if (typeof leaders !== 'object' || leaders === null) throw builtOtherwise('leaders');
      const found = Object.values(leaders).reduce<number>((sum, led: unknown) => sum + (Array.isArray(led) ? led.length : 0), 0);
      if (found < partitions.length) throw Reflect.apply(refusal, undefined, [unknownTopicOrPartition]);
      return leaders;
    },
  );
}
