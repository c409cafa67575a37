import { builtOtherwise } from './internals.ts';

/** The part of kafkajs's connection to a cluster that is used here: its own consumers and admins work by it. */
export type Cluster = {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, readonly number[]>>;
  findBroker(node: { readonly nodeId: string }): Promise<Broker>;
  readonly brokerPool: { readonly seedBroker?: Broker };
};

type Broker = {
  fetch(question: object): Promise<unknown>;
  readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null;
  readonly connectionPool: { send<T>(exchange: Exchange<T>): Promise<T> };
};

/** A request and how its answer is read. The encoder's bytes are where kafkajs looks for those of its own encoders. */
type Exchange<T> = {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
  };
  readonly response: { readonly decode: (raw: Buffer) => Promise<T>; readonly parse: (decoded: T) => Promise<T> };
};

/** kafkajs keeps the maker of its connections behind a symbol. */
function makerOf(client: object): { readonly symbol: symbol | undefined; readonly create: unknown } {
  const symbol = Object.getOwnPropertySymbols(client).find(({ description }) => description === 'private:Kafka:createCluster');
  return { symbol, create: symbol === undefined ? undefined : Reflect.get(client, symbol) };
}

/**
 * What the client makes from now on asks the cluster about this topic, and those that are named later. A connection that knows none yet asks about all topics,
 * and keeps the answer: thousands of producers of as many tables would take gigabytes for it.
 *
 * @throws Error when kafkajs is built otherwise
 */
export function askForTopic(client: object, topic: string): void {
  const { symbol, create } = makerOf(client);
  if (symbol === undefined || typeof create !== 'function') throw builtOtherwise('clusters');
  Reflect.set(client, symbol, (options: unknown): unknown => {
    const cluster: unknown = Reflect.apply(create, client, [options]);
    const topics: unknown = typeof cluster === 'object' && cluster !== null ? Reflect.get(cluster, 'targetTopics') : undefined;
    if (!(topics instanceof Set)) throw builtOtherwise('clusters');
    topics.add(topic);
    return cluster;
  });
}

/** @throws Error when kafkajs is built otherwise */
export function clusterOf(client: object): Cluster {
  const { create } = makerOf(client);
  const options = { allowAutoTopicCreation: false, maxInFlightRequests: null, metadataMaxAge: 300_000 };
  const cluster: unknown = typeof create === 'function' ? Reflect.apply(create, client, [options]) : undefined;
  if (!isCluster(cluster)) throw builtOtherwise('clusters');
  return cluster;
}

const needed = ['connect', 'disconnect', 'refreshMetadata', 'addTargetTopic', 'findLeaderForPartitions', 'findBroker'] as const;

function isCluster(value: unknown): value is Cluster {
  return (
    typeof value === 'object' &&
    value !== null &&
    'brokerPool' in value &&
    needed.every((name) => typeof Reflect.get(value, name) === 'function')
  );
}
