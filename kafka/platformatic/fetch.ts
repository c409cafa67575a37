import { ListOffsetTimestamps, type Base, type Consumer } from '@platformatic/kafka';
import { committedRun, type Room, type Run } from '../records/committed-run.ts';
import { NoLeaderError } from './errors.ts';
import { fetchPacked } from './fetch-packed.ts';

/** Where a partition is to be read. */
export type FetchPlace = { readonly topic: string; readonly partition: number; readonly from: bigint };

export type FetchOptions = {
  readonly maxWaitMs: number;
  readonly maxBytesPerPartition: number;
  readonly readUncommitted: boolean;
  /** What a batch may take unpacked, and about what all of a fetch may. */
  readonly maxBatchBytes: number;
};

export type Fetched = FetchPlace & { readonly run: Run; readonly highWatermark: bigint };

const maxBytes = 16 * 1024 * 1024;
const noSession = 0;
const sessionless = -1;

/**
 * Asks the leaders of the partitions, once each, for what comes next. (Fetch version 12: topics by name, no session to keep in step. The library's
 * stream gives single messages and hides control records; readers that wait for an end need to pass those.)
 */
export async function fetchOnce(
  consumer: Base,
  places: readonly FetchPlace[],
  { maxWaitMs, maxBytesPerPartition, readUncommitted, maxBatchBytes }: FetchOptions,
): Promise<readonly Fetched[]> {
  const metadata = await consumer.metadata({ topics: [...new Set(places.map(({ topic }) => topic))] });
  const byLeader = Map.groupBy(places, ({ topic, partition }) => metadata.topics.get(topic)?.partitions[partition]?.leader ?? -1);
  const answers = await Promise.all(
    [...byLeader].map(async ([leader, led]) => {
      const broker = metadata.brokers.get(leader);
      if (broker === undefined) throw new NoLeaderError(led.map(({ topic }) => topic).join(', '));
      const connection = await consumer.connections.get(broker);
      const topics = [...Map.groupBy(led, ({ topic }) => topic)].map(([topic, wanted]) => ({
        topicId: topic,
        partitions: wanted.map(({ partition, from }) => ({
          partition,
          fetchOffset: from,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
          partitionMaxBytes: maxBytesPerPartition,
        })),
      }));
      const isolation = readUncommitted ? 0 : 1;
      return await fetchPacked.async(connection, maxWaitMs, 1, maxBytes, isolation, noSession, sessionless, topics, [], '');
    }),
  );
  const asked = new Map(places.map((place) => [`${place.topic}/${place.partition}`, place]));
  const room: Room = { limit: maxBatchBytes, taken: 0 };
  const fetched: Fetched[] = [];
  for (const { topic, partition, highWatermark, aborted, bytes } of answers.flat()) {
    const place = asked.get(`${topic}/${partition}`);
    if (place !== undefined) fetched.push({ ...place, highWatermark, run: await committedRun({ ...place, bytes, aborted }, room) });
  }
  return fetched;
}

/** First offsets, or those past the last message, of all partitions of the topics. */
export async function edges(
  consumer: Consumer,
  topics: readonly string[],
  edge: 'earliest' | 'latest',
): Promise<(topic: string, partition: number) => bigint> {
  const timestamp = edge === 'earliest' ? ListOffsetTimestamps.EARLIEST : ListOffsetTimestamps.LATEST;
  const offsets = await consumer.listOffsets({ topics: [...topics], timestamp });
  return (topic, partition) => offsets.get(topic)?.[partition] ?? 0n;
}
