import { unlessAborted } from '#pipeline/index.ts';
import { OffsetOutOfRangeError, type FetchedRun, type FetchPlace, type Kafka } from './port.ts';

/** Reads a topic on and on, as committed, at the places that it keeps itself: no group knows of it, and a process that is killed leaves nothing behind. */
export type TopicFollower = AsyncDisposable & {
  readonly partitions: () => readonly number[];
  /**
   * Asks once for what comes next in these partitions, and waits a moment when nothing does. A batch that cannot be read is reported and skipped.
   *
   * @throws CdcError KAFKA_UNREACHABLE, TOPIC_MISSING; the signal's reason
   */
  next(partitions: readonly number[]): Promise<readonly FetchedRun[]>;
  /** Whether the partition is before where it ended when the follower began. */
  isBehind(partition: number): boolean;
};

export type FollowOptions = {
  readonly topic: string;
  readonly from: 'beginning' | 'end';
  readonly signal: AbortSignal;
  /** How soon partitions that were added are noticed. */
  readonly lookForPartitionsMs?: number;
};

type Place = { readonly from: bigint; readonly end: bigint };

/** @throws CdcError TOPIC_MISSING, KAFKA_UNREACHABLE; the signal's reason */
export async function followTopic(
  kafka: Kafka,
  { topic, from, signal, lookForPartitionsMs = 60_000 }: FollowOptions,
): Promise<TopicFollower> {
  await using opened = new AsyncDisposableStack();
  const admin = opened.use(await kafka.admin());
  const places = new Map<number, Place>();
  for (const { partition, low, high } of await unlessAborted(admin.offsetsOf(topic), signal))
    places.set(partition, { from: from === 'end' ? high : low, end: high });
  let reader = await kafka.reader({ topic });
  opened.defer(() => reader[Symbol.asyncDispose]());
  const resources = opened.move();
  let lookedAt = performance.now();

  const lookForPartitions = async (): Promise<void> => {
    if (performance.now() - lookedAt < lookForPartitionsMs) return;
    lookedAt = performance.now();
    const known = places.size;
    for (const { partition, low, high } of await unlessAborted(admin.offsetsOf(topic), signal))
      if (!places.has(partition)) places.set(partition, { from: low, end: high });
    if (places.size === known) return;
    // A reader knows the partitions that there were when it was opened.
    const former = reader;
    reader = await unlessAborted(kafka.reader({ topic }), signal);
    await former[Symbol.asyncDispose]();
  };

  /** What was deleted below a place is passed over; a topic that was made again begins at its start. */
  const findAgain = async (): Promise<void> => {
    for (const { partition, low, high } of await unlessAborted(admin.offsetsOf(topic), signal)) {
      const place = places.get(partition) ?? { from: low, end: high };
      places.set(partition, place.from < low || place.from > high ? { from: low, end: high } : place);
    }
  };

  return {
    partitions: () => [...places.keys()],
    isBehind(partition) {
      const place = places.get(partition);
      return place !== undefined && place.from < place.end;
    },
    async next(partitions) {
      await lookForPartitions();
      const asked: readonly FetchPlace[] = partitions.flatMap((partition) => {
        const place = places.get(partition);
        return place === undefined ? [] : [{ partition, from: place.from }];
      });
      if (asked.length === 0) return [];
      try {
        const runs = await unlessAborted(reader.fetch(asked), signal);
        for (const { partition, nextOffset, unreadable } of runs) {
          const place = places.get(partition);
          if (place !== undefined) places.set(partition, { ...place, from: unreadable?.nextOffset ?? nextOffset });
        }
        return runs;
      } catch (error) {
        if (!(error instanceof OffsetOutOfRangeError)) throw error;
        await findAgain();
        return [];
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
