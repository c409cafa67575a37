import { fetchV12, ListOffsetTimestamps, type Consumer } from '@platformatic/kafka';
import { NoLeaderError } from './errors.ts';

/** Where a partition is to be read. */
export type FetchPlace = { readonly topic: string; readonly partition: number; readonly from: bigint };

export type FetchOptions = {
  readonly maxWaitMs: number;
  readonly maxBytesPerPartition: number;
  readonly readUncommitted: boolean;
};

const maxBytes = 16 * 1024 * 1024;
const noSession = 0;
const sessionless = -1;

/**
 * Asks the leaders of the partitions, once each, for what comes next. (Fetch version 12: topics by name, no session to keep in step. The library's
 * stream gives single messages and hides control records; readers that wait for an end need to pass those.)
 */
export async function fetchOnce(
  consumer: Consumer,
  places: readonly FetchPlace[],
  { maxWaitMs, maxBytesPerPartition, readUncommitted }: FetchOptions,
): Promise<readonly (FetchPlace & { readonly fetched: fetchV12.FetchResponsePartition })[]> {
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
      return await fetchV12.api.async(connection, maxWaitMs, 1, maxBytes, isolation, noSession, sessionless, topics, [], '');
    }),
  );
  const asked = new Map(places.map((place) => [`${place.topic}/${place.partition}`, place]));
  return answers.flatMap(({ responses }) =>
    responses.flatMap(({ topicId, partitions }) =>
      partitions.flatMap((fetched) => {
        const place = asked.get(`${topicId}/${fetched.partitionIndex}`);
        return place === undefined ? [] : [{ ...place, fetched }];
      }),
    ),
  );
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
