import { createConnection, type Connection } from 'mysql2/promise';
import { decodeChangeEvent } from '#change-events/index.ts';
import type { Kafka } from '#kafka/index.ts';
import { CdcError, mariadbConnectionOptions, pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import type { StackState } from '#stack/state/state.ts';
import { observeTopics, testKafka, type TopicObserver } from './kafka.ts';
import { readPublished, type PublishedEvent } from './published.ts';
import { testStack, uniqueName } from './stack.ts';

/** Why there is nothing to test with here, or null: the stack has a MariaDB where its binaries run. */
export async function whyNoMariadb(): Promise<string | null> {
  return (await testStack()).mariadb === undefined ? 'the stack has no MariaDB (cdc stack up --with mariadb; Linux on x64 only)' : null;
}

/** A database of its own on the stack's MariaDB, and a poller's configuration for it. */
export type MariadbScene = AsyncDisposable & {
  readonly database: string;
  readonly kafka: Kafka;
  /** The poller's name, and its topic prefix. */
  readonly name: string;
  readonly config: PipelineConfig;
  /** Runs SQL as the owner, a statement at a time; rows as text. */
  query(sql: string): Promise<readonly (readonly (string | null)[])[]>;
  /** Runs SQL as the DBA. */
  asRoot(sql: string): Promise<void>;
  /** A further connection as the owner; closed with the scene. */
  connect(): Promise<Connection>;
  topic(table: string): string;
  published(table: string): Promise<readonly PublishedEvent[]>;
  /** Waits until what has been published of a table is as asked. */
  until(table: string, condition: (events: readonly PublishedEvent[]) => boolean, what: string): Promise<readonly PublishedEvent[]>;
};

export type MariadbSettings = {
  readonly tables: readonly { readonly table: string; readonly [setting: string]: unknown }[];
  readonly [setting: string]: unknown;
};

/** Tables are named without their database, unless it is another one. The poller may read everything in it. */
export async function createMariadbScene(sql: readonly string[], { tables, ...settings }: MariadbSettings): Promise<MariadbScene> {
  const { mariadb: server, kafka: brokers } = await testStack();
  if (server === undefined) throw new TypeError('the stack has no MariaDB');
  const database = uniqueName('scene');
  const connections: Connection[] = [];
  const open = async (user: keyof typeof server.roles | 'root'): Promise<Connection> => {
    const connection = await openMariadb(server, user, user === 'root' ? undefined : database);
    connections.push(connection);
    return connection;
  };
  const root = await open('root');
  await root.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
  await root.query(`GRANT ALL PRIVILEGES ON ${database}.* TO ${server.roles.owner.user}`);
  await root.query(`GRANT SELECT ON ${database}.* TO ${server.roles.poller.user}`);
  const owner = await open('owner');
  for (const statement of sql) await owner.query(statement);
  const kafka = await testKafka();
  const name = uniqueName('maria');
  const config = pipelineSchema.parse({
    legacyDb: { dialect: 'mariadb', host: server.host, port: server.port, database, roles: { poller: server.roles.poller } },
    kafka: { brokers: brokers.brokers, partitions: 3, replicationFactor: 1, client: process.env['CDC_TEST_KAFKA_CLIENT'] },
    poller: {
      name,
      topicPrefix: name,
      pollIntervalMs: Math.max(20, 10 * tables.length),
      ...settings,
      tables: tables.map((table) => ({ ...table, table: table.table.includes('.') ? table.table : `${database}.${table.table}` })),
    },
  });
  const topic = (table: string): string => `${name}.${database}.${table}`;
  // Events are waited for before the poller has made their topics.
  const topics = tables
    .filter(({ table }) => !table.includes('*'))
    .map(({ table }) => ({ topic: topic(table), partitions: 3, replicationFactor: 1 }));
  await using admin = await kafka.admin();
  await admin.ensureTopics(topics);
  const observers = new Map<string, Promise<TopicObserver>>();
  const published = (table: string): Promise<readonly PublishedEvent[]> => readPublished(kafka, topic(table));
  return {
    database,
    kafka,
    name,
    config,
    topic,
    query: async (text) => texts(await owner.query(text)),
    async asRoot(text) {
      await root.query(text);
    },
    connect: () => open('owner'),
    published,
    async until(table, condition, what) {
      const observer = observers.get(table) ?? observeTopics(kafka, [topic(table)], uniqueName('group'));
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
      // What a test has left locked would keep the database from being dropped.
      await Promise.all(connections.filter((connection) => connection !== root).map((connection) => connection.end()));
      await root.query(`DROP DATABASE ${database}`);
      await root.end();
    },
  };
}

async function openMariadb(
  server: NonNullable<StackState['mariadb']>,
  user: keyof typeof server.roles | 'root',
  database: string | undefined,
): Promise<Connection> {
  const location = { host: server.host, port: server.port, ...(database === undefined ? {} : { database }) };
  const connection = await createConnection(
    mariadbConnectionOptions(location, user === 'root' ? server.superuser : server.roles[user], 'test'),
  );
  await connection.query("SET time_zone = '+00:00'");
  return connection;
}

function texts([rows]: readonly unknown[]): readonly (readonly (string | null)[])[] {
  if (!Array.isArray(rows)) return [];
  return rows.map((row: unknown) =>
    Array.isArray(row) ? row.map((value: unknown) => (Buffer.isBuffer(value) ? value.toString() : null)) : [],
  );
}

function decoded({ key, value, topic, partition, offset }: TopicObserver['messages'][number]): readonly PublishedEvent[] {
  const event = decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
  return event === null ? [] : [{ key: String(key), event }];
}

function asText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** Runs a poller's start that is to fail and gives its error. */
export async function failureOf(ended: Promise<void>): Promise<CdcError> {
  try {
    await ended;
  } catch (error) {
    if (error instanceof CdcError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
