import { builtOtherwise, internal } from './internals.ts';

/** What kafkajs's keeper of offsets has, as far as it is needed here. */
type Offsets = {
  readonly cluster: {
    fetchTopicsOffset(
      topics: readonly { topic: string; partitions: readonly { partition: number }[]; fromBeginning: boolean }[],
    ): Promise<readonly { readonly partitions: readonly { readonly partition: number; readonly offset: string }[] }[]>;
  };
  resolveOffset(place: { topic: string; partition: number; offset: string }): void;
};

/**
 * When the log does not hold what kafkajs asks for, it commits to the group that the partition begins at its first offset: what the group had committed,
 * and with it that events were missed, is forgotten. From now on it only goes on there, and leaves what the group has committed as it is.
 *
 * @throws Error when kafkajs is built otherwise
 */
export function patchDefaultOffset(): void {
  const managers = internal('src/consumer/offsetManager');
  const prototype: unknown = typeof managers === 'function' ? managers.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null || typeof Reflect.get(prototype, 'setDefaultOffset') !== 'function')
    throw builtOtherwise('offsets');
  Reflect.set(
    prototype,
    'setDefaultOffset',
    async function ofOffsets(this: unknown, { topic, partition }: { readonly topic: string; readonly partition: number }): Promise<void> {
      if (!isOffsets(this)) throw builtOtherwise('offsets');
      const [found] = await this.cluster.fetchTopicsOffset([{ topic, partitions: [{ partition }], fromBeginning: true }]);
      const first = found?.partitions.find((one) => one.partition === partition);
      // What is resolved is the offset before the one that is fetched next.
      if (first !== undefined) this.resolveOffset({ topic, partition, offset: String(BigInt(first.offset) - 1n) });
    },
  );
}

function isOffsets(value: unknown): value is Offsets {
  return typeof value === 'object' && value !== null && 'cluster' in value && 'resolveOffset' in value;
}
