import { randomUUID } from 'node:crypto';
import type { ConsumedMessage, Kafka } from './port.ts';

export type ReadToEndOptions = {
  /** Default false. */
  readonly readUncommitted?: boolean;
  /** Told how far a partition has been read. */
  readonly onReached?: (partition: number, nextOffset: bigint) => void;
};

/**
 * Reads a whole topic, as committed, up to where it ended when the call began, in offset order per partition. Waits for transactions
 * that are open below that end, unless it reads what is uncommitted too. For topics that hold little: positions, statuses.
 *
 * @throws CdcError TOPIC_MISSING, KAFKA_UNREACHABLE; the signal's reason
 */
export async function readToEnd(
  kafka: Kafka,
  topic: string,
  onMessage: (message: ConsumedMessage, partition: number) => void,
  signal?: AbortSignal,
  { readUncommitted = false, onReached }: ReadToEndOptions = {},
): Promise<void> {
  await using admin = await kafka.admin();
  const unread = new Map(
    (await admin.offsetsOf(topic)).filter(({ low, high }) => high > low).map(({ partition, high }) => [partition, high]),
  );
  if (unread.size === 0) return;
  const groupId = `read-to-end-${randomUUID()}`;
  const done = Promise.withResolvers<void>();
  // The signal may be aborted while the consumer still joins, before anybody waits for `done`.
  done.promise.catch(() => undefined);
  const aborted = (): void => done.reject(signal?.reason);
  signal?.addEventListener('abort', aborted, { once: true });
  try {
    signal?.throwIfAborted();
    await using consumer = await kafka.consumer({
      groupId,
      topics: [topic],
      readUncommitted,
      onBatch: async ({ messages, partition }) => {
        for (const message of messages) onMessage(message, partition);
      },
      onProgress: (_topic, partition, nextOffset) => {
        onReached?.(partition, nextOffset);
        const end = unread.get(partition);
        if (end !== undefined && nextOffset >= end) unread.delete(partition);
        if (unread.size === 0) done.resolve();
      },
    });
    consumer.closed.catch(done.reject);
    await done.promise;
  } finally {
    signal?.removeEventListener('abort', aborted);
  }
  // All has been read. A group that stays is empty, and the broker forgets those by itself.
  await admin.deleteGroup(groupId).catch(() => undefined);
}
