import { setTimeout as delay } from 'node:timers/promises';
import { stringifyLossless, topicName, type JsonValue } from '#change-events/index.ts';
import type { Kafka, KafkaAdmin, OutgoingMessage, TransactionalProducer } from '#kafka/index.ts';
import { strategies, type Strategy } from '#comparison/strategy.ts';
import type { ComparisonInput } from '#comparison/index.ts';
import { migrateOrders } from './order-mirrors.ts';
import { testKafka } from './kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from './legacy-database.ts';
import { createReadDatabase, type ReadDatabase } from './read-database.ts';
import { uniqueName } from './stack.ts';

export const orderTables = ['customers', 'products', 'orders', 'order_items'] as const;
export type OrderTable = (typeof orderTables)[number];

/** A change of the ledger, as text. */
export type RecordedChange = {
  readonly op: string;
  readonly table: string;
  readonly txId: string;
  readonly key: string;
  readonly before: JsonValue;
  readonly after: JsonValue;
};

/**
 * Everything that a comparison looks at, on real servers, with the test in the place of capture and read models: it publishes what it
 * likes and fills the models as it likes, so that it knows every discrepancy.
 */
export type ComparisonBench = AsyncDisposable & {
  readonly database: LegacyDatabase;
  readonly read: ReadDatabase;
  readonly kafka: Kafka;
  readonly input: ComparisonInput;
  topic(strategy: Strategy, table: OrderTable): string;
  /** The ledger's changes since the last call, in order. */
  changes(): Promise<readonly RecordedChange[]>;
  publish(topic: string, messages: readonly OutgoingMessage[]): Promise<void>;
  /** Fills the models with what the source holds now. */
  copySource(): Promise<void>;
  /** Says that the models have applied all that is in the topics. */
  markApplied(): Promise<void>;
};

export async function createComparisonBench(): Promise<ComparisonBench> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createLegacyDatabase({ ledger: true }));
  const read = stack.use(await createReadDatabase());
  const kafka = await testKafka();
  const admin = stack.use(await kafka.admin());
  const producer = stack.use(await kafka.transactionalProducer({ transactionalId: uniqueName('bench') }));
  const prefixes = { log: uniqueName('log'), query: uniqueName('query'), sweep: uniqueName('sweep') };
  const models = { log: 'log_model', query: 'query_model', sweep: 'sweep_model' };
  const topic = (strategy: Strategy, table: string): string => topicName(prefixes[strategy], { schema: 'public', table });
  const topics = [topic('log', 'customers'), ...orderTables.flatMap((table) => strategies.map((strategy) => topic(strategy, table)))];
  const heartbeatTopic = `${prefixes.log}.cdc.heartbeat`;
  await admin.ensureTopics([...new Set(topics), heartbeatTopic].map((name) => ({ topic: name, partitions: 2, replicationFactor: 1 })));
  stack.defer(() => admin.deleteTopics([...new Set(topics), heartbeatTopic]));
  for (const schema of Object.values(models)) await migrateOrders(read.owner, schema);
  await database.query('CREATE SCHEMA cdc');
  await database.query('CREATE TABLE cdc.heartbeat (id int PRIMARY KEY, beat_at timestamptz)');

  const publish = exclusively(async (name: string, messages: readonly OutgoingMessage[]) => send(producer, name, messages));
  stack.use(publishHeartbeats(database, (message) => publish(heartbeatTopic, [message])));
  let seen = 0n;
  return {
    database,
    read,
    kafka,
    topic,
    publish,
    input: {
      kafka,
      legacyDatabase: database.owner,
      readDatabase: read.owner,
      strategies: {
        log: { topicPrefix: prefixes.log, model: models.log },
        query: { topicPrefix: prefixes.query, model: models.query },
        sweep: { topicPrefix: prefixes.sweep, model: models.sweep },
      },
      tables: orderTables.map((table) => ({ schema: 'public', table })),
      // The test publishes what it wants seen before it lets the comparison finish.
      horizons: { query: passed, sweep: passed },
      roles: { log: database.replicator.user ?? '', query: database.poller.user ?? '', sweep: database.poller.user ?? '' },
      catchUpTimeoutMs: 60_000,
    },
    async changes() {
      const rows = await database.query(
        `SELECT seq, op, table_name, txid, key ->> 'id' AS key, (SELECT json_object_agg(e.key, e.value) FROM jsonb_each_text(before) e) AS before,
                (SELECT json_object_agg(e.key, e.value) FROM jsonb_each_text(after) e) AS after
           FROM ledger.changes c WHERE seq > $1 ORDER BY c.seq`,
        [String(seen)],
      );
      seen = BigInt(rows.at(-1)?.['seq'] ?? seen);
      return rows.map((row) => ({
        op: row['op'] ?? '',
        table: row['table_name'] ?? '',
        txId: row['txid'] ?? '',
        key: row['key'] ?? '',
        before: contractRow(row['before'] ?? null),
        after: contractRow(row['after'] ?? null),
      }));
    },
    copySource: () => copySource(database, read, Object.values(models)),
    markApplied: () => markApplied(admin, read, models, prefixes),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** What a poller says that has passed every transaction. */
async function passed(): Promise<ReadonlyMap<string, bigint>> {
  return new Map(orderTables.map((table) => [`public.${table}`, 2n ** 62n]));
}

/** The message that capture should publish for a change; `override` replaces parts of the event. */
export function eventMessage(change: RecordedChange, override: Readonly<Record<string, JsonValue>> = {}): OutgoingMessage {
  const { op, table, txId, before, after } = change;
  const source = { connector: 'test', name: 'test', db: 'test', schema: 'public', table, txId: BigInt(txId), lsn: null };
  return { partition: 0, key: `{"id":${change.key}}`, value: stringifyLossless({ before, after, source, op, ts_ms: 0, ...override }) };
}

export function tombstone({ key }: RecordedChange): OutgoingMessage {
  return { partition: 0, key: `{"id":${key}}`, value: null };
}

const integers = new Set(['id', 'customer_id', 'order_id', 'product_id', 'quantity']);

/** A ledger row in the contract's representation, for the order system's types. Written apart from the comparison's own reading of it. */
function contractRow(text: string | null): JsonValue {
  if (text === null) return null;
  const row: Record<string, string | null> = JSON.parse(text);
  return Object.fromEntries(Object.entries(row).map(([name, value]): [string, JsonValue] => [name, contractValue(name, value)]));
}

function contractValue(name: string, value: string | null): JsonValue {
  if (value === null) return null;
  if (integers.has(name)) return BigInt(value);
  if (name === 'active') return value === 'true';
  return name.endsWith('_at') ? value.replace('+00:00', 'Z') : value;
}

async function send(producer: TransactionalProducer, topic: string, messages: readonly OutgoingMessage[]): Promise<void> {
  const transaction = await producer.begin();
  await transaction.send(topic, messages);
  await transaction.commit();
}

/** One transaction at a time, as the port asks. */
function exclusively<A extends readonly unknown[]>(work: (...args: A) => Promise<void>): (...args: A) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (...args) => {
    const next = last.then(() => work(...args));
    last = next.catch(() => undefined);
    return next;
  };
}

/** In the connector's place: publishes each heartbeat that commits. */
function publishHeartbeats(database: LegacyDatabase, publish: (message: OutgoingMessage) => Promise<void>): AsyncDisposable {
  const controller = new AbortController();
  const run = async (): Promise<void> => {
    let last = '';
    while (!controller.signal.aborted) {
      const [row] = await database.query('SELECT xmin::text AS xid FROM cdc.heartbeat');
      const txId = row?.['xid'] ?? last;
      if (txId !== last) {
        await publish(eventMessage({ op: 'u', table: 'heartbeat', txId, key: '1', before: null, after: { id: 1 } }));
        last = txId;
      }
      await delay(20);
    }
  };
  const ended = run();
  ended.catch(() => undefined);
  return {
    async [Symbol.asyncDispose]() {
      controller.abort();
      await ended;
    },
  };
}

async function copySource(database: LegacyDatabase, read: ReadDatabase, schemas: readonly string[]): Promise<void> {
  const view = `SELECT o.id AS order_id, o.status, o.placed_at, o.note, o.customer_id, c.name AS customer_name, c.email AS customer_email,
      c.tier AS customer_tier, o.updated_at, count(i.id) AS item_count, coalesce(sum(i.quantity * i.unit_price), 0) AS total,
      coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'product_id', i.product_id, 'sku', p.sku, 'name', p.name, 'quantity', i.quantity,
        'unit_price', i.unit_price::text) ORDER BY i.id) FILTER (WHERE i.id IS NOT NULL), '[]') AS items
    FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN order_items i ON i.order_id = o.id LEFT JOIN products p ON p.id = i.product_id
    GROUP BY o.id, c.id`;
  for (const [table, query] of [...orderTables.map((name) => [name, `SELECT * FROM ${name}`]), ['order_view', view]]) {
    const [row] = await database.query(`SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') AS rows FROM (${query}) t`);
    for (const schema of schemas) {
      await read.query(`DELETE FROM ${schema}.${table}`);
      await read.query(`INSERT INTO ${schema}.${table} SELECT * FROM jsonb_populate_recordset(NULL::${schema}.${table}, $1)`, [
        row?.['rows'],
      ]);
    }
  }
}

async function markApplied(
  admin: KafkaAdmin,
  read: ReadDatabase,
  models: Readonly<Record<Strategy, string>>,
  prefixes: Readonly<Record<Strategy, string>>,
): Promise<void> {
  for (const strategy of strategies) {
    for (const table of orderTables) {
      const name = topicName(prefixes[strategy], { schema: 'public', table });
      for (const { partition, high } of await admin.offsetsOf(name)) {
        await read.query(
          `INSERT INTO ${models[strategy]}.applied_offsets (topic, partition, next_offset) VALUES ($1, $2, $3)
           ON CONFLICT (topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset`,
          [name, partition, String(high)],
        );
      }
    }
  }
}
