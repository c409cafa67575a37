import type { KafkaAdmin } from '../port.ts';
import { clusterOf, type Cluster } from './patches/cluster.ts';
import { builtOtherwise, internal } from './patches/internals.ts';
import { close, type Sockets } from './patches/sockets.ts';
import { idsRequest, metadataKey, noId, readIds, versionWithIds, type AnsweredTopic } from './patches/topic-ids-protocol.ts';

export type TopicIds = {
  /** `listTopics` is asked where the broker knows no ids. */
  readonly ask: (topics: readonly string[], listTopics: KafkaAdmin['listTopics']) => ReturnType<KafkaAdmin['topicIds']>;
  readonly close: () => Promise<void>;
};

/** Null where the broker knows no ids. */
type Answer = readonly AnsweredTopic[] | null;

type Opened = { readonly cluster: Cluster; readonly sockets: Sockets };

const unknownTopic = 3;
/** A topic that was just made has its id before it has a leader. */
const noLeaderYet = 5;

/**
 * kafkajs asks in words of Kafka 2.3, which know no ids of topics: this one question is asked in words of our own over its connection, which is
 * made with the first one and kept, since a read model asks again and again.
 */
export function createTopicIds(
  makeClient: () => { readonly client: object; readonly sockets: Sockets },
  translate: (error: unknown, doing: string) => unknown,
): TopicIds {
  let opened: Promise<Opened> | undefined;
  let closed = false;
  const forget = async (one: Promise<Opened> | undefined): Promise<void> => {
    if (opened === one) opened = undefined;
    await one?.then(({ cluster, sockets }) => close(cluster, sockets)).catch(() => undefined);
  };
  const connection = (): Promise<Opened> => (opened ??= open(makeClient()));
  const askOver = async (mine: Promise<Opened>, topics: readonly string[]): Promise<Answer> => {
    try {
      const { cluster, sockets } = await mine;
      return await sockets.whileOpen(askBroker(cluster, topics));
    } catch (error) {
      // The next question makes another one.
      await forget(mine);
      throw error;
    }
  };
  return {
    ask: async (topics, listTopics) => {
      const doing = `read the ids of topics ${topics.join(', ')}`;
      // Whoever asks on after the end makes no new connection, which nobody would close.
      if (closed) throw translate(new Error('the client was closed'), doing);
      const kept = opened;
      try {
        // The broker of a connection that was kept may be gone, while others are there.
        const again = (error: unknown): Promise<Answer> => {
          if (closed) throw error;
          return askOver(connection(), topics);
        };
        const answer = await (kept === undefined ? askOver(connection(), topics) : askOver(kept, topics).catch(again));
        if (answer !== null) return idsOf(answer);
      } catch (error) {
        throw translate(error, doing);
      }
      const present = new Set(await listTopics());
      return new Map(topics.filter((topic) => present.has(topic)).map((topic) => [topic, null]));
    },
    close: async () => {
      closed = true;
      await forget(opened);
    },
  };
}

async function open({ client, sockets }: { readonly client: object; readonly sockets: Sockets }): Promise<Opened> {
  const cluster = clusterOf(client);
  try {
    await sockets.whileOpen(cluster.connect());
    return { cluster, sockets };
  } catch (error) {
    sockets.cut();
    throw error;
  }
}

async function askBroker({ brokerPool }: Cluster, topics: readonly string[]): Promise<Answer> {
  if (topics.length === 0) return [];
  const { seedBroker } = brokerPool;
  if (seedBroker === undefined) throw builtOtherwise('connections');
  if ((seedBroker.versions?.[metadataKey]?.maxVersion ?? 0) < versionWithIds) return null;
  const buffer = idsRequest(topics);
  return await seedBroker.connectionPool.send({
    request: { apiKey: metadataKey, apiVersion: versionWithIds, apiName: 'Metadata', encode: async () => ({ buf: buffer, buffer }) },
    response: { decode: async (raw) => readIds(raw), parse: async (answer) => answer },
  });
}

function idsOf(answer: readonly AnsweredTopic[]): ReadonlyMap<string, string | null> {
  const ids = new Map<string, string | null>();
  for (const { errorCode, name, id } of answer) {
    if (errorCode === unknownTopic) continue;
    if (errorCode !== 0 && errorCode !== noLeaderYet) throw errorOf(errorCode);
    ids.set(name, id === noId ? null : id);
  }
  return ids;
}

/** As kafkajs knows it. */
function errorOf(code: number): Error {
  const errors = internal('src/protocol/error');
  const make: unknown = typeof errors === 'object' && errors !== null ? Reflect.get(errors, 'createErrorFromCode') : undefined;
  const error: unknown = typeof make === 'function' ? Reflect.apply(make, undefined, [code]) : undefined;
  return error instanceof Error ? error : builtOtherwise('errors');
}
