import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lossOf } from '#connectors/postgres/facts/lossy-types.ts';
import type { ConnectorConfig } from '#connectors/index.ts';
import { publishableQuery, publishableTables } from '#connectors/postgres/facts/published-facts.ts';
import { startTestConnector, type TestConnector } from '#test/support/connect.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { rawMember } from '#test/support/raw-json.ts';
import { uniqueName } from '#test/support/stack.ts';
import { CdcError } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';

const own = `CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO cdc_replicator; CREATE TYPE app."interval" AS ENUM ('month'); CREATE TYPE app."bool" AS ENUM ('x');
  CREATE TYPE app."uuid" AS ENUM ('x'); CREATE TYPE app."int4" AS ENUM ('x'); CREATE TYPE app."time" AS (a integer); CREATE TYPE app.mood AS ENUM ('a');
  CREATE DOMAIN app.amount AS numeric(9,2); CREATE TYPE app.numbers AS RANGE (subtype = integer)`;

/** What is in the snapshot's event and in the streamed one; undefined: the column is missing. Beside what value-property.test.ts asks of each built-in type. */
const written: readonly (readonly [type: string, value: string, snapshot: string | undefined, streamed?: string])[] = [
  ['app."interval"', 'month', '"month"', '"0 secs"'],
  ['app."interval"[]', '{month}', '["month"]', '["0 secs"]'],
  ['app."bool"', 'x', '"x"', '"false"'],
  ['app."uuid"', 'x', '"x"'],
  ['app."time"', '(1)', 'null'],
  ['app.mood[]', '{a}', '["a"]'],
  ['app.mood[]', '{a,NULL}', 'null'],
  ['app.amount', '7', '"7.00"'],
  ['app.amount[]', '{7}', '["Ny4wMA=="]'],
  ['app.numbers', '[1,5)', '"WzEsNSk="'],
  ['refcursor[]', '{c}', undefined],
  ['name[]', '{a}', undefined],
  ['varbit[]', '{1}', undefined],
  ['interval[]', '{1 day}', undefined],
  ['money[]', '{1}', undefined],
  ['xml[]', '{<a/>}', undefined],
  ['point[]', '{"(1,2)"}', undefined],
  ['bit(1)[]', '{1}', 'null'],
  ['interval', 'infinity', '"P0Y0M0DT0H0M0S"'],
  ['interval', '2147483647 hours', '"P0Y0M0DT2147483647H0M0S"'],
];

async function insertRow(
  database: LegacyDatabase,
  table: string,
  rows: readonly (readonly [string, string, ...unknown[]])[],
): Promise<void> {
  await database.query(
    `INSERT INTO ${table} (${rows.map((_, at) => `c${at}`).join(', ')}) VALUES (${rows.map(([type, value]) => `'${value}'::${type}`).join(', ')})`,
  );
}

test('what Debezium makes of types by which values are lost is what docs/change-event.md says, loaded and streamed', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(own);
  await database.query(`CREATE TABLE kinds (id serial PRIMARY KEY, ${written.map(([type], at) => `c${at} ${type}`).join(', ')})`);
  await insertRow(database, 'kinds', written);
  await using connector = await startTestConnector({ database, tables: ['public.kinds'] });
  await connector.streaming();
  await insertRow(database, 'kinds', written);
  await using observer = await observeTopics(await testKafka(), [connector.topic('public.kinds')], uniqueName('losses'));
  await observer.until(
    () => observer.messages.length >= 2,
    () => `${observer.messages.length} events`,
    120_000,
  );
  // From several partitions they come in any order.
  const afters = ['"r"', '"c"'].map((op) => {
    const event = observer.messages.find(({ value }) => rawMember(String(value), 'op') === op);
    return rawMember(String(event?.value), 'after') ?? assert.fail(`no event with op ${op}`);
  });
  assert.deepEqual(
    written.map(([type, value], at) => [type, value, ...afters.map((after) => rawMember(after, `c${at}`))]),
    written.map(([type, value, snapshot, streamed = snapshot]) => [type, value, snapshot, streamed]),
  );
});

/** Values that stop the connector in its snapshot or while streaming, what the doctor says of their columns, and whether column.exclude.list helps. */
const stopping: readonly {
  readonly type: string;
  readonly value: string;
  readonly loss: string;
  readonly stops: readonly string[];
  readonly stopsExcluded: readonly string[];
}[] = [
  { type: 'refcursor', value: 'c', loss: 'stops', stops: ['snapshot'], stopsExcluded: [] },
  { type: 'app."int4"', value: 'x', loss: 'stops', stops: ['stream'], stopsExcluded: ['stream'] },
  { type: 'interval', value: '2147483648 hours', loss: 'edge', stops: ['snapshot', 'stream'], stopsExcluded: ['stream'] },
  { type: 'timetz', value: '10:00:00+15:59:59', loss: 'edge', stops: ['stream'], stopsExcluded: ['stream'] },
];

for (const { type, value, loss, stops, stopsExcluded } of stopping) {
  test(`${type} ${value} stops the connector (${stops.join(', ')}), as the doctor says, also where the column is left out (${stopsExcluded.join(', ')})`, async (t) => {
    await using database = await createLegacyDatabase({ empty: true });
    await database.query(`${own}; CREATE TABLE one (id serial PRIMARY KEY, c0 ${type})`);
    const [version] = await database.query("SELECT current_setting('server_version_num') AS n");
    const ids = JSON.stringify([{ schema: 'public', table: 'one' }]);
    const [row] = await database.query(publishableQuery(Number(version?.['n'])), [ids, [], '']);
    const [facts] = publishableTables.parse(JSON.parse(Object.values(row ?? {})[0] ?? '[]'));
    assert.deepEqual(facts?.columns.map(lossOf), [undefined, loss]);
    const insert = (): Promise<unknown> => insertRow(database, 'one', [[type, value]]);
    const outcome = async (phase: 'snapshot' | 'stream', more: ConnectorConfig = {}): Promise<boolean> => {
      await database.query('TRUNCATE one');
      if (phase === 'snapshot') await insert();
      const overrides = { 'errors.max.retries': '0', 'topic.creation.default.partitions': '1', ...more };
      const started = await startTestConnector({ database, tables: ['public.one'], overrides }).catch((error: unknown) => {
        if (error instanceof CdcError && error.code === 'CONNECTOR_FAILED') return null;
        throw error;
      });
      if (started === null) return true;
      await using connector = started;
      if (phase === 'stream') {
        await connector.streaming();
        await insert();
      }
      const kafka = await testKafka();
      await using admin = await kafka.admin();
      const topic = connector.topic('public.one');
      const state = async (): Promise<'stopped' | 'published' | null> => {
        if (await hasFailed(connector)) return 'stopped';
        if (!(await admin.listTopics()).includes(topic)) return null;
        return (await admin.offsetsOf(topic)).some(({ high }) => high > 0n) ? 'published' : null;
      };
      return (await waitFor(state, { signal: t.signal, timeoutMs: 120_000, describe: `${type}: stopped or published` })) === 'stopped';
    };
    const found: Record<string, string[]> = { whole: [], excluded: [] };
    for (const phase of ['snapshot', 'stream'] as const) {
      if (await outcome(phase)) found['whole']?.push(phase);
      if (await outcome(phase, { 'column.exclude.list': 'public.one.c0' })) found['excluded']?.push(phase);
    }
    assert.deepEqual(found, { whole: stops, excluded: stopsExcluded });
  });
}

async function hasFailed({ client, name }: TestConnector): Promise<boolean> {
  return (await client.status(name))?.tasks.some(({ state }) => state === 'FAILED') ?? false;
}
