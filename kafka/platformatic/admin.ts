import { setTimeout as delay } from 'node:timers/promises';
import { CdcError } from '#pipeline/index.ts';
import { FetchIsolationLevels, ListOffsetTimestamps, type Admin, type ClusterTopicMetadata } from '@platformatic/kafka';
import type { KafkaAdmin, PartitionOffsets, TopicSpec } from '../port.ts';
import { close } from './close.ts';
import { attempts, backOffMs } from './client-options.ts';
import { isPassing, isUnknownTopic, protocolErrors } from './errors.ts';

type Translate = (error: unknown, doing: string) => unknown;

export function wrapAdmin(admin: Admin, translate: Translate): KafkaAdmin {
  const attempt = async <T>(doing: string, work: () => Promise<T>): Promise<T> => {
    for (let tried = 0; ; tried += 1) {
      try {
        return await work();
      } catch (error) {
        if (tried >= attempts || protocolErrors(error).length === 0 || !isPassing(error)) throw translate(error, doing);
        await delay(backOffMs(tried));
      }
    }
  };
  return {
    ensureTopics: (specs) =>
      attempt(`create topics ${specs.map(({ topic }) => topic).join(', ')}`, async () => {
        const present = new Set(await admin.listTopics());
        for (const spec of specs) if (!present.has(spec.topic)) await createTopic(admin, spec);
      }),
    listTopics: () => attempt('list topics', () => admin.listTopics()),
    deleteTopics: (topics) => attempt('delete topics', () => admin.deleteTopics({ topics: [...topics] })),
    ensurePartitions: (topic, partitions) =>
      attempt(`add partitions to topic ${topic}`, async () => {
        const { partitionsCount } = await describeTopic(admin, topic);
        if (partitionsCount >= partitions) return;
        await admin.createPartitions({ topics: [{ name: topic, count: partitions, assignments: [] }] });
        for (let tried = 0; tried < attempts && (await describeTopic(admin, topic)).partitionsCount < partitions; tried += 1)
          await delay(backOffMs(tried));
      }),
    deleteGroup: (groupId) =>
      attempt(`delete group ${groupId}`, async () => {
        try {
          await admin.deleteGroups({ groups: [groupId] });
        } catch (error) {
          if (!protocolErrors(error).includes('GROUP_ID_NOT_FOUND')) throw error;
        }
      }),
    partitionsOf: (topic) =>
      attempt(`read the partitions of topic ${topic}`, async () => (await describeTopic(admin, topic)).partitionsCount),
    offsetsOf: (topic) => attempt(`read the offsets of topic ${topic}`, () => readOffsets(admin, topic)),
    committedOffsets: (groupId, topic) =>
      attempt(`read what group ${groupId} has committed of topic ${topic}`, async () => {
        const { partitionsCount } = await describeTopic(admin, topic);
        const partitionIndexes = Array.from({ length: partitionsCount }, (_, partition) => partition);
        const groups = await admin.listConsumerGroupOffsets({ groups: [{ groupId, topics: [{ name: topic, partitionIndexes }] }] });
        const found = groups.flatMap((group) => group.topics).flatMap(({ partitions }) => partitions);
        return new Map(
          found
            .filter(({ committedOffset }) => committedOffset >= 0n)
            .map(({ partitionIndex, committedOffset }) => [partitionIndex, committedOffset]),
        );
      }),
    topicIds: (topics) => attempt(`read the ids of topics ${topics.join(', ')}`, () => readTopicIds(admin, topics)),
    async [Symbol.asyncDispose]() {
      await close(admin);
    },
  };
}

async function createTopic(admin: Admin, { topic, partitions, replicationFactor, config = {} }: TopicSpec): Promise<void> {
  const configs = Object.entries(config).map(([name, value]) => ({ name, value }));
  try {
    await admin.createTopics({ topics: [topic], partitions, replicas: replicationFactor, configs });
  } catch (error) {
    // Somebody else made it at the same moment; then there is nothing left to do.
    if (!protocolErrors(error).includes('TOPIC_ALREADY_EXISTS')) throw error;
  }
  for (let tried = 0; tried < attempts; tried += 1) {
    const found = await describeTopic(admin, topic).catch(() => null);
    if (found !== null && found.partitions.every(({ leader }) => leader >= 0)) return;
    await delay(backOffMs(tried));
  }
}

/** Asking for metadata of a topic that does not exist is retried for long. @throws CdcError TOPIC_MISSING */
async function describeTopic(admin: Admin, topic: string): Promise<ClusterTopicMetadata> {
  const topics = await admin.listTopics();
  const metadata = topics.includes(topic) ? await admin.metadata({ topics: [topic], forceUpdate: true }) : null;
  const found = metadata?.topics.get(topic);
  if (found === undefined) throw new CdcError('TOPIC_MISSING', `topic ${topic} does not exist`);
  return found;
}

async function readTopicIds(admin: Admin, topics: readonly string[]): Promise<ReadonlyMap<string, string | null>> {
  const present = new Set(await admin.listTopics());
  const wanted = topics.filter((topic) => present.has(topic));
  const ids = new Map<string, string | null>();
  if (wanted.length === 0) return ids;
  try {
    return await askTopicIds(admin, wanted);
  } catch (error) {
    if (!isUnknownTopic(error)) throw error;
  }
  // One of several that was deleted meanwhile fails the question about all.
  for (const topic of wanted) {
    try {
      for (const [name, id] of await askTopicIds(admin, [topic])) ids.set(name, id);
    } catch (error) {
      if (!isUnknownTopic(error)) throw error;
    }
  }
  return ids;
}

async function askTopicIds(admin: Admin, asked: readonly string[]): Promise<ReadonlyMap<string, string | null>> {
  const { topics } = await admin.metadata({ topics: [...asked], forceUpdate: true });
  return new Map(
    asked.map((topic) => {
      const id = topics.get(topic)?.id;
      // Where the broker knows no ids the client puts the name in the id's place, or nothing.
      return [topic, id === undefined || id === topic || !/[1-9a-f]/.test(id) ? null : id];
    }),
  );
}

async function readOffsets(admin: Admin, topic: string): Promise<readonly PartitionOffsets[]> {
  const { partitionsCount } = await describeTopic(admin, topic);
  const at = async (timestamp: bigint): Promise<ReadonlyMap<number, bigint>> => {
    const partitions = Array.from({ length: partitionsCount }, (_, partitionIndex) => ({ partitionIndex, timestamp }));
    const listed = await admin.listOffsets({
      topics: [{ name: topic, partitions }],
      isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
    });
    return new Map((listed[0]?.partitions ?? []).map(({ partitionIndex, offset }) => [partitionIndex, offset]));
  };
  const low = await at(ListOffsetTimestamps.EARLIEST);
  const high = await at(ListOffsetTimestamps.LATEST);
  return Array.from({ length: partitionsCount }, (_, partition) => ({
    partition,
    low: low.get(partition) ?? 0n,
    high: high.get(partition) ?? 0n,
  }));
}
