import type { TopicPartition } from '#kafka/port.ts';
import { behindCode, queueName, type Parking, type ParkedPoison, type Queue } from '#read-model/engine/index.ts';
import type { Delivered } from '../changes/message-reader.ts';
import type { ReadMessage } from '../changes/decode-changes.ts';

export type BatchState = {
  /** The queues of parked events that are open. */
  readonly open: ReadonlySet<string>;
  /** The queue of the partition's last message, when that was a delete: a tombstone of the same key only follows it. */
  readonly lastDeleted: string | null;
  /** By offset: what the handler, or the trial that isolated it, has said of a change. */
  readonly poisons: ReadonlyMap<bigint, ParkedPoison>;
};

export type BatchPlan = {
  /** Handed over, in the order of the log. */
  readonly live: readonly Delivered[];
  readonly parked: readonly Parking[];
  /** {@link BatchState.lastDeleted} after the batch. */
  readonly lastDeleted: string | null;
};

/**
 * What of a batch is handed over and what is parked. A key whose earlier event is parked, by this batch or before it, waits as a whole; every other
 * key's changes are handed over in their order. Pure.
 *
 * @param queuesOf the names of a message's queues, most usual first
 */
export function planBatch(
  place: TopicPartition,
  messages: readonly ReadMessage[],
  state: BatchState,
  queuesOf: (key: Buffer | null) => readonly string[],
): BatchPlan {
  const open = new Set(state.open);
  const live: Delivered[] = [];
  const parked: Parking[] = [];
  let { lastDeleted } = state;
  for (const { message, change } of messages) {
    const queues: readonly Queue[] = queuesOf(message.key).map((queue) => ({ topic: place.topic, partition: place.partition, queue }));
    const [first] = queues;
    if (first === undefined) continue;
    const follows = message.value === null && lastDeleted === first.queue;
    lastDeleted = 'op' in change && change.op === 'delete' ? first.queue : null;
    if (follows) continue;
    const waiting = queues.find((queue) => open.has(queueName(queue)));
    const poison = state.poisons.get(message.offset) ?? ('code' in change ? change : undefined);
    if (waiting !== undefined) {
      parked.push({ ...waiting, message, poison: { code: behindCode, cause: 'an earlier event of its key is parked' } });
    } else if (poison !== undefined) {
      parked.push({ ...first, message, poison });
      open.add(queueName(first));
    } else if ('op' in change) live.push(change);
  }
  return { live, parked, lastDeleted };
}
