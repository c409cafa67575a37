import { CdcError } from '#pipeline/index.ts';
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import kafkajs, { type Admin } from 'kafkajs';
import type { KafkaAdmin, TopicSpec } from '../port.ts';
import { close, type Sockets } from './patches/sockets.ts';
import type { TopicIds } from './topic-ids.ts';

type Translate = (error: unknown, doing: string) => unknown;

/** A minute: a broker that makes thousands of partitions needs that long. */
const patience = { maxAttempts: 120, backoff: new ExponentialBackoff({ initialDelay: 20, maxDelay: 500 }) };

/** kafkajs's admin does not bridge what the broker calls passing: a topic just made has no leader yet, a coordinator still loads. */
const whilePassing = retry(
  handleWhen((error) => error instanceof kafkajs.KafkaJSProtocolError && error.retriable && error.type !== 'UNKNOWN_TOPIC_OR_PARTITION'),
  patience,
);

/** A topic that was just made, here or by somebody else, is not known to every broker at once. What else passes is for {@link whilePassing}, around it. */
const whileAppearing = retry(
  handleWhen(
    (error) =>
      (error instanceof CdcError && error.code === 'TOPIC_MISSING') ||
      (error instanceof kafkajs.KafkaJSProtocolError && error.type === 'UNKNOWN_TOPIC_OR_PARTITION'),
  ),
  patience,
);

/** Says that partitions which were added are not all known yet. */
class FewerPartitions extends Error {}

const whileFewer = retry(
  handleWhen((error) => error instanceof FewerPartitions),
  patience,
);

/** A connected kafkajs admin, over sockets of its own. */
export type AdminConnection = { readonly admin: Admin; readonly sockets: Sockets };

/**
 * An admin over a connected kafkajs admin. A connection that a silent broker has used up is for ever lost to the question that met it; the next
 * question makes another.
 */
export async function openAdmin(connect: () => Promise<AdminConnection>, translate: Translate, topicIds: TopicIds): Promise<KafkaAdmin> {
  let connection = await connect();
  let closed = false;
  const current = async (): Promise<AdminConnection> => {
    if (closed || !connection.sockets.isCut()) return connection;
    connection = await connect();
    // Closed meanwhile: it must not outlive that.
    if (closed) connection.sockets.cut();
    return connection;
  };
  let last: Promise<unknown> = Promise.resolve();
  // One after the other: kafkajs keeps one piece of metadata per client, and of two questions side by side the later answer may know
  // nothing of the other's topic.
  const attempt = <T>(doing: string, work: (admin: Admin) => Promise<T>): Promise<T> => {
    const mine = last.then(async () => {
      try {
        const { admin, sockets } = await current();
        return await sockets.whileOpen(whilePassing.execute(() => work(admin)));
      } catch (error) {
        throw translate(error, doing);
      }
    });
    last = mine.catch(() => undefined);
    return mine;
  };
  /** Asks about these alone: the answer about all topics of a cluster grows with them, and would come again for each. */
  const existing = (topics: readonly string[]): ReturnType<KafkaAdmin['topicIds']> =>
    topicIds.ask(topics, async () => (await current()).admin.listTopics());
  /** Asking kafkajs about a topic that does not exist is retried for long, and may create it where the broker allows that. */
  const requireTopics = async (topics: readonly string[]): Promise<void> => {
    const present = await existing(topics);
    const missing = topics.find((topic) => !present.has(topic));
    if (missing !== undefined) throw new CdcError('TOPIC_MISSING', `topic ${missing} does not exist`);
  };
  return {
    ensureTopics: (specs) =>
      attempt(`create topics ${specs.map(({ topic }) => topic).join(', ')}`, (admin) =>
        whileAppearing.execute(async () => {
          const present = await existing(specs.map(({ topic }) => topic));
          const missing = specs.filter(({ topic }) => !present.has(topic));
          if (missing.length === 0) return;
          // False means that somebody else made one of them at the same moment; then they are to appear.
          await admin.createTopics({ topics: missing.map(toKafkaJs), waitForLeaders: true });
          // Asked once for all: the answer grows with the topics.
          await requireTopics(missing.map(({ topic }) => topic));
        }),
      ),
    listTopics: () => attempt('list topics', (admin) => admin.listTopics()),
    deleteTopics: (topics) => attempt('delete topics', (admin) => admin.deleteTopics({ topics: [...topics] })),
    ensurePartitions: (topic, partitions) =>
      attempt(`add partitions to topic ${topic}`, async (admin) => {
        await requireTopics([topic]);
        if ((await countPartitions(admin, topic)) >= partitions) return;
        await admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] });
        await whileFewer.execute(async () => {
          if ((await countPartitions(admin, topic)) < partitions)
            throw new FewerPartitions(`topic ${topic} has fewer than ${partitions} partitions`);
        });
      }),
    deleteGroup: (groupId) =>
      attempt(`delete group ${groupId}`, async (admin) => {
        try {
          await admin.deleteGroups([groupId]);
        } catch (error) {
          if (!isUnknownGroup(error)) throw error;
        }
      }),
    partitionsOf: (topic) =>
      attempt(`read the partitions of topic ${topic}`, async (admin) => {
        await requireTopics([topic]);
        return await countPartitions(admin, topic);
      }),
    offsetsOf: (topic) =>
      attempt(`read the offsets of topic ${topic}`, async (admin) => {
        await requireTopics([topic]);
        const offsets = await admin.fetchTopicOffsets(topic);
        return offsets
          .map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
          .toSorted((a, b) => a.partition - b.partition);
      }),
    committedOffsets: (groupId, topic) =>
      attempt(`read what group ${groupId} has committed of topic ${topic}`, async (admin) => {
        await requireTopics([topic]);
        const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
        const offsets = (found?.partitions ?? []).map(({ partition, offset }) => [partition, BigInt(offset)] as const);
        return new Map(offsets.filter(([, offset]) => offset >= 0n));
      }),
    topicIds: (topics) => topicIds.ask(topics, () => attempt('list topics', (admin) => admin.listTopics())),
    async [Symbol.asyncDispose]() {
      closed = true;
      await topicIds.close();
      await close(connection.admin, connection.sockets);
    },
  };
}

async function countPartitions(admin: Admin, topic: string): Promise<number> {
  const metadata = await admin.fetchTopicMetadata({ topics: [topic] });
  return metadata.topics[0]?.partitions.length ?? 0;
}

/** kafkajs puts the broker's answers for each group into one error. */
function isUnknownGroup(error: unknown): boolean {
  return error instanceof kafkajs.KafkaJSDeleteGroupsError && error.groups.every(({ errorCode }) => errorCode === groupIdNotFound);
}

const groupIdNotFound = 69;

function toKafkaJs({ topic, partitions, replicationFactor, config }: TopicSpec): {
  topic: string;
  numPartitions: number;
  replicationFactor: number;
  configEntries: { name: string; value: string }[];
} {
  return {
    topic,
    numPartitions: partitions,
    replicationFactor,
    configEntries: Object.entries(config ?? {}).map(([name, value]) => ({ name, value })),
  };
}
