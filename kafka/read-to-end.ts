import { pause } from '#pipeline/index.ts';
import { OffsetOutOfRangeError, type ConsumedMessage, type FetchPlace, type Kafka, type KafkaAdmin } from './port.ts';

export type ReadToEndOptions = {
  /** Default false. */
  readonly readUncommitted?: boolean;
  /** Called with how far a partition has been read. */
  readonly onReached?: (partition: number, nextOffset: bigint) => void;
};

/** A topic that is made again, or cut while it is read, is looked at again so often before the answer is believed. */
const rangeAttempts = 5;

/**
 * Reads a whole topic, as committed, up to where it ended when the call began, in offset order per partition. Waits for transactions
 * that are open below that end, unless it reads what is uncommitted too. For topics that hold little: positions, statuses. Needs no consumer group, so a
 * process that is killed leaves nothing behind; whoever waits for it is let go as soon as `signal` is aborted, whatever Kafka does.
 *
 * @throws CdcError TOPIC_MISSING, KAFKA_UNREACHABLE, KAFKA_BATCH_UNREADABLE, KAFKA_BATCH_TOO_LARGE; the signal's reason
 */
export async function readToEnd(
  kafka: Kafka,
  topic: string,
  onMessage: (message: ConsumedMessage, partition: number) => void,
  signal?: AbortSignal,
  options: ReadToEndOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const given = new AbortController();
  const aborted = Promise.withResolvers<never>();
  // It is aborted at most once, and maybe when nobody waits any more.
  aborted.promise.catch(() => undefined);
  const abort = (): void => {
    aborted.reject(signal?.reason);
    given.abort(signal?.reason);
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const read = readAll({ kafka, topic, onMessage, signal: given.signal, ...options });
    read.catch(() => undefined);
    await Promise.race([read, aborted.promise]);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

type Reading = ReadToEndOptions & {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly onMessage: (message: ConsumedMessage, partition: number) => void;
  readonly signal: AbortSignal;
};

type Unread = Map<number, { readonly from: bigint; readonly end: bigint }>;

/** Gives its connections up by itself, also when nobody waits for it any more. */
async function readAll({ kafka, topic, onMessage, signal, readUncommitted = false, onReached }: Reading): Promise<void> {
  await using admin = await kafka.admin();
  if (signal.aborted) return;
  const unread: Unread = new Map();
  for (const { partition, low, high } of await admin.offsetsOf(topic)) if (high > low) unread.set(partition, { from: low, end: high });
  if (unread.size === 0 || signal.aborted) return;
  await using reader = await kafka.reader({ topic, readUncommitted });
  for (let outOfRange = 0; unread.size > 0 && !signal.aborted;) {
    const places: readonly FetchPlace[] = [...unread].map(([partition, { from }]) => ({ partition, from }));
    try {
      for (const { partition, messages, nextOffset, unreadable } of await reader.fetch(places)) {
        const place = unread.get(partition);
        if (signal.aborted || place === undefined) continue;
        if (unreadable !== null) throw unreadable.error;
        for (const message of messages) onMessage(message, partition);
        onReached?.(partition, nextOffset);
        if (nextOffset >= place.end) unread.delete(partition);
        else unread.set(partition, { ...place, from: nextOffset });
      }
      outOfRange = 0;
    } catch (error) {
      outOfRange += 1;
      if (!(error instanceof OffsetOutOfRangeError) || outOfRange > rangeAttempts) throw error;
      await pause(100 * outOfRange, signal);
      await findAgain(admin, topic, unread);
    }
  }
}

/** What is deleted below the places is passed over; what was made again ends earlier. */
async function findAgain(admin: KafkaAdmin, topic: string, unread: Unread): Promise<void> {
  for (const { partition, low, high } of await admin.offsetsOf(topic)) {
    const place = unread.get(partition);
    if (place === undefined) continue;
    const end = place.end < high ? place.end : high;
    const from = place.from < low ? low : place.from;
    if (from >= end) unread.delete(partition);
    else unread.set(partition, { from, end });
  }
}
