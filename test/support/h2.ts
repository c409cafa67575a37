import { Client } from 'pg';
import { decodeChangeEvent } from '#change-events/index.ts';
import type { Kafka } from '#kafka/index.ts';
import { pipelineSchema, postgresClientConfig, type PipelineConfig } from '#pipeline/index.ts';
import type { StackState } from '#stack/state/state.ts';
import { observeTopics, testKafka, type TopicObserver } from './kafka.ts';
import { readPublished, type PublishedEvent } from './published.ts';
import { testStack, uniqueName } from './stack.ts';

/** Why there is nothing to test with here, or null. */
export async function whyNoH2(): Promise<string | null> {
  return (await testStack()).h2 === undefined ? 'the stack has no H2 (cdc stack up --with h2)' : null;
}

/** A schema of its own in the stack's H2, and a poller's configuration for it. */
export type H2Scene = AsyncDisposable & {
  readonly schema: string;
  readonly kafka: Kafka;
  /** The poller's name, and its topic prefix. */
  readonly name: string;
  readonly config: PipelineConfig;
  /** Runs SQL as the owner, in the schema; rows as text. */
  query(sql: string): Promise<readonly (readonly (string | null)[])[]>;
  /** Runs SQL as the administrator. */
  asAdministrator(sql: string): Promise<void>;
  /** A further connection as the owner, in the schema; closed with the scene. */
  connect(): Promise<Client>;
  topic(table: string): string;
  published(table: string): Promise<readonly PublishedEvent[]>;
  /** Waits until what has been published of a table is as asked. */
  until(table: string, condition: (events: readonly PublishedEvent[]) => boolean, what: string): Promise<readonly PublishedEvent[]>;
};

export type H2Settings = {
  readonly tables: readonly { readonly table: string; readonly [setting: string]: unknown }[];
  readonly [setting: string]: unknown;
};

/** What a session on the shared H2 says first (see below). */
export const waitForLocks = 'SET LOCK_TIMEOUT 60000';

/** Tables are named without their schema. The poller may read everything in it. */
export async function createH2Scene(sql: readonly string[], { tables, ...settings }: H2Settings): Promise<H2Scene> {
  const { h2: server, kafka: brokers } = await testStack();
  if (server === undefined) throw new TypeError('the stack has no H2');
  const schema = uniqueName('scene');
  const clients: Client[] = [];
  const open = async (role: StackState['readModel']): Promise<Client> => {
    const client = new Client(postgresClientConfig({ host: server.host, port: server.port, database: 'legacy' }, role, 'test'));
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    // All scenes share one database, and each statement that changes a schema locks its catalogue: after two seconds H2 would refuse to wait for another test's.
    await client.query(waitForLocks);
    return client;
  };
  const administrator = await open(server.superuser);
  await administrator.query(`CREATE SCHEMA ${schema}`);
  await administrator.query(`GRANT ALL ON SCHEMA ${schema} TO ${server.roles.owner.user}`);
  await administrator.query(`GRANT SELECT ON SCHEMA ${schema} TO ${server.roles.poller.user}`);
  const asOwner = async (): Promise<Client> => {
    const client = await open(server.roles.owner);
    await client.query(`SET SCHEMA ${schema}`);
    return client;
  };
  const owner = await asOwner();
  for (const statement of sql) await owner.query(statement);
  const kafka = await testKafka();
  const name = uniqueName('htwo');
  const config = pipelineSchema.parse({
    legacyDb: { dialect: 'h2', host: server.host, port: server.port, database: 'legacy', roles: { poller: server.roles.poller } },
    kafka: { brokers: brokers.brokers, partitions: 3, replicationFactor: 1, client: process.env['CDC_TEST_KAFKA_CLIENT'] },
    poller: {
      name,
      topicPrefix: name,
      pollIntervalMs: Math.max(20, 10 * tables.length),
      ...settings,
      tables: tables.map((table) => ({ ...table, table: `${schema}.${table.table}` })),
    },
  });
  const topic = (table: string): string => `${name}.${schema}.${table}`;
  // Events are waited for before the poller has made their topics.
  const topics = tables.map((table) => ({ topic: topicOf(table, topic), partitions: 3, replicationFactor: 1 }));
  await using admin = await kafka.admin();
  await admin.ensureTopics(topics);
  const observers = new Map<string, Promise<TopicObserver>>();
  const named = (table: string): string => topicOf(tables.find((one) => one.table === table) ?? { table }, topic);
  const published = (table: string): Promise<readonly PublishedEvent[]> => readPublished(kafka, named(table));
  return {
    schema,
    kafka,
    name,
    config,
    topic,
    query: (text) => textRows(owner, text),
    async asAdministrator(text) {
      await administrator.query(text);
    },
    connect: asOwner,
    published,
    async until(table, condition, what) {
      const observer = observers.get(table) ?? observeTopics(kafka, [named(table)], uniqueName('group'));
      observers.set(table, observer);
      const running = await observer;
      const { messages } = running;
      const events = (): readonly PublishedEvent[] => messages.flatMap(decoded);
      await running.until(
        () => condition(events()),
        () => `${table}: ${what}; ${messages.length} events, the last ${JSON.stringify(events().slice(-3), asText)}`,
      );
      // The observer has its partitions one after the other: of what was published before, some may be still to come.
      return await published(table);
    },
    async [Symbol.asyncDispose]() {
      for (const observer of observers.values()) await (await observer)[Symbol.asyncDispose]();
      await Promise.all(clients.filter((client) => client !== administrator).map((client) => client.end()));
      await administrator.query(`DROP SCHEMA ${schema} CASCADE`);
      await administrator.end();
    },
  };
}

function topicOf({ table, topic }: H2Settings['tables'][number], named: (table: string) => string): string {
  return typeof topic === 'string' ? topic : named(table);
}

/** Values as the server's own texts. */
async function textRows(client: Client, text: string): Promise<readonly (readonly (string | null)[])[]> {
  const { rows } = await client.query<(string | null)[]>({
    text,
    rowMode: 'array',
    types: { getTypeParser: () => (value: string) => value },
  });
  return rows;
}

function decoded({ key, value, topic, partition, offset }: TopicObserver['messages'][number]): readonly PublishedEvent[] {
  const event = decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
  return event === null ? [] : [{ key: String(key), event }];
}

function asText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
