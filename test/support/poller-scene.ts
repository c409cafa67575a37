import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { decodeChangeEvent } from '#change-events/index.ts';
import type { Kafka } from '#kafka/index.ts';
import { CdcError, type PipelineConfig } from '#pipeline/index.ts';
import { observeTopics, testKafka, type TopicObserver } from './kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from './legacy-database.ts';
import { testPipelineConfig, type TestPollerSettings } from './pipeline-config.ts';
import { readPublished, versionsOf, type PublishedEvent } from './published.ts';
import { uniqueName } from './stack.ts';

/** A database of its own with the tables that `sql` makes, and a poller's configuration for them. */
export type PollerScene = AsyncDisposable & {
  readonly database: LegacyDatabase;
  readonly kafka: Kafka;
  /** The poller's name, and its topic prefix. */
  readonly name: string;
  readonly config: PipelineConfig;
  topic(table: string): string;
  query(sql: string): Promise<unknown>;
  /** A further connection as the owner; closed with the scene. */
  connect(): Promise<Client>;
  /** What has been published of `public.<table>` so far. */
  published(table: string): Promise<readonly PublishedEvent[]>;
  /** Waits until what has been published of a table is as asked. */
  until(table: string, condition: (events: readonly PublishedEvent[]) => boolean, what: string): Promise<readonly PublishedEvent[]>;
};

/** Everything may be read by the poller. Polls every 20 ms, many tables less often, with a small clock margin. */
export async function createPollerScene(
  sql: string,
  tables: TestPollerSettings['tables'],
  settings: Readonly<Record<string, unknown>> = {},
): Promise<PollerScene> {
  const database = await createLegacyDatabase({ empty: true });
  await database.query(`${sql}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc_poller;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO cdc_poller;`);
  const name = uniqueName('scene');
  const config = await testPipelineConfig(database, {
    name,
    // Polls of all tables together keep a core busy, and what the test waits for late.
    pollIntervalMs: Math.max(20, 10 * tables.length),
    clockMarginMs: 100,
    sharing: 'takeover',
    ...settings,
    tables,
  });
  const kafka = await testKafka();
  const clients: Client[] = [];
  const topic = (table: string): string => `${name}.public.${table}`;
  // A poller that has just been started has not made its topics yet.
  const published = async (table: string): Promise<readonly PublishedEvent[]> => {
    try {
      return await readPublished(kafka, topic(table));
    } catch (error) {
      if (error instanceof CdcError && error.code === 'TOPIC_MISSING') return [];
      throw error;
    }
  };
  const observers = new Map<string, Promise<TopicObserver>>();
  const observe = async (table: string): Promise<TopicObserver> => {
    await untilTopic(kafka, topic(table));
    const observer = observers.get(table) ?? observeTopics(kafka, [topic(table)], uniqueName('group'));
    observers.set(table, observer);
    return await observer;
  };
  return {
    database,
    kafka,
    name,
    config,
    topic,
    query: (text) => database.query(text),
    async connect() {
      const client = new Client({ ...database.owner, application_name: 'scene writer' });
      clients.push(client);
      await client.connect();
      return client;
    },
    published,
    async until(table, condition, what) {
      const observer = await observe(table);
      const found: PublishedEvent[] = [];
      let seen = 0;
      // Asked for with every batch that comes: what came before is decoded already.
      const events = (): readonly PublishedEvent[] => {
        for (; seen < observer.messages.length; seen += 1) found.push(...observer.messages.slice(seen, seen + 1).flatMap(decoded));
        return found;
      };
      await observer.until(
        () => condition(events()),
        () => {
          const last = events().slice(-5);
          return `${table}: ${what}; ${events().length} events, the last:\n${last.map(({ key, event }) => `${key} ${event.op} ${JSON.stringify(event.after, asText)}`).join('\n')}`;
        },
      );
      // The observer has its partitions one after the other: of what was published before, some may be still to come.
      return await published(table);
    },
    async [Symbol.asyncDispose]() {
      for (const observer of observers.values()) await (await observer)[Symbol.asyncDispose]();
      await Promise.all(clients.map((client) => client.end()));
      await database[Symbol.asyncDispose]();
    },
  };
}

/** A poller makes its topics when it starts, or finds the table. */
async function untilTopic(kafka: Kafka, topic: string): Promise<void> {
  await using admin = await kafka.admin();
  const deadline = performance.now() + 60_000;
  while (!(await admin.listTopics()).includes(topic)) {
    assert.ok(performance.now() < deadline, `topic ${topic} does not come`);
    await delay(100);
  }
}

function decoded({ key, value, topic, partition, offset }: TopicObserver['messages'][number]): readonly PublishedEvent[] {
  const event = decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
  return event === null ? [] : [{ key: String(key), event }];
}

function asText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** `key@xmin` of the rows that a table has now. `key` is the SQL of the event key's text. */
export async function presentVersions(scene: PollerScene, table: string, key: string): Promise<readonly string[]> {
  const rows = await scene.database.query(`SELECT ${key} || '@' || xmin AS version FROM ${table}`);
  return rows.map(({ version }) => version ?? '');
}

/** Every version that the table has was published, and no version twice. */
export async function assertExactTable(scene: PollerScene, table: string, key = `'{"id":' || id || '}'`): Promise<void> {
  const versions = versionsOf(await scene.published(table));
  const distinct = new Set(versions);
  const missing = (await presentVersions(scene, table, key)).filter((version) => !distinct.has(version));
  assert.deepEqual(missing, [], `${table}: final row versions that were never published`);
  assert.equal(versions.length, distinct.size, `${table}: row versions that were published twice`);
}

/** Texts of one column of the events, in order of publication within each partition. */
export function valuesOf(events: readonly PublishedEvent[], column: string): readonly string[] {
  return events.map(({ event }) => {
    const value = event.after?.[column];
    return typeof value === 'string' ? value : JSON.stringify(value ?? null, asText);
  });
}
