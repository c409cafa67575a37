import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import type { Change } from '#sdk/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { deleteRecords } from '#test/support/delete-records.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { order, upsert } from '#test/support/order-events.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { createService, type Service } from '#test/support/sdk.ts';
import { uniqueName } from '#test/support/stack.ts';

const table = 'public.accounts';

type Captured = AsyncDisposable & { readonly topic: string };
type Capture = (database: LegacyDatabase) => Promise<Captured>;

const polled =
  (format: string): Capture =>
  async (database) => {
    const name = uniqueName('sdk_polled');
    const accounts = { table, timestampColumn: 'updated_at', incrementingColumn: 'id' };
    const config = await testPipelineConfig(database, { name, format, pollIntervalMs: 50, clockMarginMs: 100, tables: [accounts] });
    const poller = startTestPoller(config);
    return { topic: `${name}.${table}`, [Symbol.asyncDispose]: () => poller[Symbol.asyncDispose]() };
  };

const logged =
  (file: 'legacy-orders.json' | 'legacy-orders-avro.json'): Capture =>
  async (database) => {
    const overrides = { 'heartbeat.interval.ms': '500' };
    const connector = await startTestConnector({ database, file, tables: [table], overrides });
    return { topic: connector.topic(table), [Symbol.asyncDispose]: () => connector[Symbol.asyncDispose]() };
  };

const captures: Readonly<Record<string, Capture>> = {
  'the poller, JSON': polled('json'),
  'the poller, Avro': polled('avro'),
  'the poller, JSON Schema': polled('json-schema'),
  'Debezium, JSON': logged('legacy-orders.json'),
  'Debezium, Avro': logged('legacy-orders-avro.json'),
};

async function createAccounts(): Promise<LegacyDatabase> {
  const database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE accounts (id bigint PRIMARY KEY, balance numeric NOT NULL, units bigint NOT NULL, note text,
      updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON accounts (updated_at, id);
    GRANT SELECT ON accounts TO cdc_poller;
    INSERT INTO accounts VALUES (9007199254740993, 12345678901234567890.12, 9007199254740995, 'größe 😀'), (2, 0.10, -1, NULL);`);
  return database;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : stringifyLossless(value ?? null);
}

/** A row's last state in words, every digit of it. */
function lineOf({ key, after }: Change): string {
  return `${textOf(key?.['id'])}: ${textOf(after?.['balance'])} ${textOf(after?.['units'])} ${textOf(after?.['note'])}`;
}

async function sourceTime(database: LegacyDatabase): Promise<string> {
  const [row] = await database.query(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`);
  return String(row?.['now']);
}

for (const [name, capture] of Object.entries(captures))
  test(
    `${name}: a service gets what was committed, with every digit, is fresh, and waits for a time of the source's clock`,
    { timeout: 180_000 },
    async () => {
      await using stack = new AsyncDisposableStack();
      const database = stack.use(await createAccounts());
      const service = stack.use(await createService({ topics: false }));
      const { topic } = stack.use(await capture(database));
      const last = new Map<string, string>();
      const handle = async (changes: readonly Change[]): Promise<void> => {
        for (const change of changes) last.set(textOf(change.key?.['id']), lineOf(change));
      };
      const consumer = stack.use(
        await service.start(handle, { topics: { orders: topic }, schemaRegistry: await testRegistryConfig(), staleAfterMs: 60_000 }),
      );
      await eventually(
        async () => last.size,
        (size) => size === 2,
      );
      await database.query(`UPDATE accounts SET balance = 0.30, updated_at = clock_timestamp() WHERE id = 2`);
      await database.query(`INSERT INTO accounts VALUES (3, 7, 8, 'new')`);
      const committed = await sourceTime(database);
      await consumer.waitFor(committed, { timeoutMs: 60_000 });
      // Everything that was committed before has been handled: nothing is to be waited for.
      assert.deepEqual([...last.values()].toSorted(), [
        '2: 0.30 -1 null',
        '3: 7 8 new',
        '9007199254740993: 12345678901234567890.12 9007199254740995 größe 😀',
      ]);
      const { state, asOf, staleSeconds } = await consumer.freshness();
      assert.equal(state, 'fresh');
      assert.ok(asOf !== null && Date.parse(asOf) >= Date.parse(committed), `${asOf} is before ${committed}`);
      assert.ok(staleSeconds !== null && staleSeconds < 60, String(staleSeconds));
      const later = new Date(Date.now() + 3_600_000).toISOString();
      await assert.rejects(consumer.waitFor(later, { timeoutMs: 200 }), { code: 'CONSUMER_NOT_REACHED' });
    },
  );

/** So many changes are handled; then more come, of which Kafka deletes the first before they are. */
async function loseEvents(service: Service): Promise<void> {
  await service.send(...[1, 2, 3].map((id) => upsert('orders', order(id, 1))));
  {
    await using first = await service.start();
    await service.caughtUp();
    void first;
  }
  await service.send(...[4, 5, 6].map((id) => upsert('orders', order(id, 1))));
  await deleteRecords(service.topic, 0, 6n);
}

test(
  'events that Kafka deleted before they were handled halt the partition by name, and the SQL of the remedy goes on',
  { timeout: 120_000 },
  async () => {
    await using service = await createService({ partitions: 1 });
    await loseEvents(service);
    await using consumer = await service.start();
    const halted = await eventually(
      async () => (await consumer.status()).partitions[0]?.halted ?? null,
      (halt) => halt !== null,
    );
    assert.equal(halted?.code, 'CONSUMER_EVENTS_LOST');
    assert.equal((await service.effects()).length, 3);
    const [sql] = /UPDATE .*?(?=;)/.exec(halted.remedy) ?? [];
    assert.ok(sql !== undefined, halted.remedy);
    await service.read.query(sql);
    await service.caughtUp();
    assert.deepEqual(
      (await service.effects()).map((line) => line.slice(line.indexOf(' ') + 1)),
      [1, 2, 3, 6].map((id) => `create {"id":${id}} new`),
    );
    await eventually(
      async () => (await consumer.status()).partitions[0]?.halted ?? null,
      (halt) => halt === null,
    );
  },
);

test(
  'a call of the handler has no more bytes than batch.bytes, whatever the batch of records; a larger change comes alone',
  { timeout: 90_000 },
  async () => {
    await using service = await createService({ partitions: 1 });
    const bytes = 10_000;
    const sizes = Array.from({ length: 40 }, (_, index) => (index === 20 ? 5 * bytes : 100 + ((index * 733) % 4000)));
    await service.send(...sizes.map((size, index) => upsert('orders', { ...order(index + 1, 1), note: 'x'.repeat(size) })));
    const calls: (readonly number[])[] = [];
    const handle = async (changes: readonly Change[]): Promise<void> => {
      calls.push(changes.map(({ after }) => textOf(after?.['note']).length));
    };
    await using consumer = await service.start(handle, { batch: { bytes } });
    await service.caughtUp();
    assert.deepEqual(calls.flat(), sizes);
    const tooLarge = calls.filter((call) => call.length > 1 && call.reduce((sum, size) => sum + size, 0) > bytes);
    assert.deepEqual(tooLarge, []);
    assert.ok(calls.some((call) => call.length > 1));
    void consumer;
  },
);
