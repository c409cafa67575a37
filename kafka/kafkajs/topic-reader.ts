import { setTimeout as delay } from 'node:timers/promises';
import kafkajs from 'kafkajs';
import { OffsetOutOfRangeError, type FetchedRun, type FetchPlace, type TopicReader } from '../port.ts';
import { clusterOf } from './patches/cluster.ts';
import { ReadRecord, UnreadableRecord } from './patches/fetch-answer.ts';
import { builtOtherwise } from './patches/internals.ts';
import { close, type Sockets } from './patches/sockets.ts';

type ReaderOptions = {
  readonly topic: string;
  readonly readUncommitted?: boolean;
  readonly requestTimeoutMs: number;
  readonly translate: (error: unknown, doing: string) => unknown;
};

const maxWaitMs = 100;
const maxBytes = 10 * 2 ** 20;
const maxBytesPerPartition = 2 ** 20;
const attempts = 8;

/** Errors after which the leader is to be looked up again. */
const moved: ReadonlySet<string> = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
]);

/** Reads a topic's partitions from their leaders, over sockets of its own. */
export async function openReader(
  { client, sockets }: { readonly client: object; readonly sockets: Sockets },
  { topic, readUncommitted = false, translate }: ReaderOptions,
): Promise<TopicReader> {
  const doing = `read topic ${topic}`;
  const cluster = clusterOf(client);
  const dispose = async (): Promise<void> => {
    await close(cluster, sockets);
  };
  const fetchOnce = async (places: readonly FetchPlace[]): Promise<readonly FetchedRun[]> => {
    const leaders = cluster.findLeaderForPartitions(
      topic,
      places.map(({ partition }) => partition),
    );
    const answers = await Promise.all(
      Object.entries(leaders).map(async ([nodeId, led]) => {
        const broker = await cluster.findBroker({ nodeId });
        const partitions = places
          .filter(({ partition }) => led.includes(partition))
          .map(({ partition, from }) => ({ partition, fetchOffset: String(from), maxBytes: maxBytesPerPartition }));
        const isolationLevel = readUncommitted ? 0 : 1;
        return await broker.fetch({ isolationLevel, maxWaitTime: maxWaitMs, minBytes: 1, maxBytes, topics: [{ topic, partitions }] });
      }),
    );
    return answers.flatMap((answer) => runsOf(answer));
  };
  try {
    await sockets.whileOpen(cluster.connect());
    await sockets.whileOpen(cluster.addTargetTopic(topic));
  } catch (error) {
    sockets.cut();
    throw translate(error, doing);
  }
  return {
    async fetch(places) {
      for (let tried = 0; ; tried += 1) {
        try {
          return await sockets.whileOpen(fetchOnce(places));
        } catch (error) {
          const type = error instanceof kafkajs.KafkaJSProtocolError ? error.type : '';
          if (type === 'OFFSET_OUT_OF_RANGE') throw new OffsetOutOfRangeError(topic, { cause: error });
          const mayPass = moved.has(type) || isConnectionError(error);
          if (tried >= attempts || sockets.isCut() || !mayPass) throw translate(error, doing);
          await delay(Math.min(1000, 50 * 2 ** tried));
          await sockets.whileOpen(cluster.refreshMetadata()).catch(() => undefined);
        }
      }
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function isConnectionError(error: unknown): boolean {
  return error instanceof kafkajs.KafkaJSConnectionError || error instanceof kafkajs.KafkaJSBrokerNotFound;
}

type Answer = {
  readonly responses: readonly { readonly partitions: readonly { readonly partition: number; readonly messages: readonly unknown[] }[] }[];
};

function runsOf(answer: unknown): readonly FetchedRun[] {
  if (!isAnswer(answer)) throw builtOtherwise('fetched records');
  const runs: FetchedRun[] = [];
  for (const { partition, messages: records } of answer.responses.flatMap(({ partitions }) => partitions)) {
    const last = records.at(-1);
    if (last instanceof UnreadableRecord)
      runs.push({ partition, messages: [], nextOffset: last.unreadable.offset, unreadable: last.unreadable });
    if (!(last instanceof ReadRecord)) continue;
    const messages = records.flatMap((record) => (record instanceof ReadRecord && record.message !== null ? [record.message] : []));
    runs.push({ partition, messages, nextOffset: BigInt(last.offset) + 1n, unreadable: null });
  }
  return runs;
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null && 'responses' in value && Array.isArray(value.responses);
}
