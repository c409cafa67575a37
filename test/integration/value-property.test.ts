import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { escapeLiteral } from 'pg';
import { readToEnd, type Kafka } from '#kafka/index.ts';
import type { WantedMirror } from '#read-model/index.ts';
import { capturedMirrors } from '#test/support/captured-mirrors.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { likeness, type Likeness } from '#test/support/debezium-losses.ts';
import { observeTopics, testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { arrayOf, sqlName, valuesByName, type RandomType } from '#test/support/random-values.ts';
import { rawMember, rawMembers } from '#test/support/raw-json.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';
import { uniqueName } from '#test/support/stack.ts';

/** FC_SEED repeats a run; TEST_NIGHTLY=1 makes 200 rounds of rows, TEST_ROUNDS as many as it says. */
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
const nightly = process.env['TEST_NIGHTLY'] === '1';
const rounds = Number(process.env['TEST_ROUNDS'] ?? (nightly ? 200 : 2));
const rowsOfRound = 20;

type Column = RandomType & { readonly name: string; readonly isArray: boolean };

const own = `
  CREATE TYPE app.mood AS ENUM ('so so', 'a,b', '"', 'NULL', ''''); CREATE TYPE app."interval" AS ENUM ('month', 'year');
  CREATE DOMAIN app.pos AS integer; CREATE DOMAIN app.label AS text; CREATE DOMAIN app.list AS integer[]; CREATE TYPE app.pair AS (a integer, b text);`;
const ownTypes: readonly { readonly name: string; readonly value: fc.Arbitrary<string> }[] = [
  { name: 'app.mood', value: fc.constantFrom('so so', 'a,b', '"', 'NULL', "'") },
  { name: 'app."interval"', value: fc.constantFrom('month', 'year') },
  { name: 'app.pos', value: fc.nat(9999).map(String) },
  { name: 'app.label', value: fc.constantFrom('a', '', 'x,"y"', 'NULL') },
  { name: 'app.pair', value: fc.nat(99).map((a) => `(${a},"x y")`) },
];
const shaped: readonly RandomType[] = [
  { type: 'numeric(12,3)', value: fc.integer({ min: -(10 ** 9), max: 10 ** 9 }).map((value) => String(value / 1000)) },
  { type: 'timestamptz(3)', value: fc.constantFrom('2026-01-01 00:00:00+00', '2026-01-01 00:00:00.120+02') },
  { type: 'timestamp(0)', value: fc.constantFrom('2026-01-01 00:00:00') },
  { type: 'time(3)', value: fc.constantFrom('10:00:00', '10:00:00.5') },
  { type: 'char(5)', value: fc.constantFrom('a', 'ab', '') },
  { type: 'varchar(5)', value: fc.constantFrom('a', ' b ', '') },
  { type: 'bit(1)', value: fc.constantFrom('0', '1') },
  { type: 'bit(64)', value: fc.constantFrom('1'.padStart(64, '0'), '1'.padEnd(64, '0')) },
];

/** A cursor stops Debezium's connector; what it makes of a type that is called as a built-in one is no value of it, and the mirror halts. */
const notForDebezium: ReadonlySet<string> = new Set(['refcursor', 'app."interval"']);

/** Columns of every type and of its arrays. `deep`: values too of which the log has nothing. */
function columnsOf(deep: boolean): readonly Column[] {
  const names = Object.keys(valuesByName).filter((name) => deep || !notForDebezium.has(name));
  const all = [
    ...names.map((name) => ({ name, type: sqlName(name), value: valuesByName[name] ?? fc.constant('') })),
    ...ownTypes.filter(({ name }) => deep || !notForDebezium.has(name)).map(({ name, value }) => ({ name, type: name, value })),
  ];
  return [
    ...all.map((column) => ({ ...column, isArray: false })),
    ...shaped.map(({ type, value }) => ({ name: `shaped ${type}`, type, value, isArray: false })),
    ...all.map(({ name, type, value }) => ({
      name,
      type: `${type}[]`,
      value: arrayOf(value, name === 'box' ? ';' : ',', deep),
      isArray: true,
    })),
    { name: 'app.list', type: 'app.list', value: fc.constantFrom('{1,2}', '{}', '{NULL}'), isArray: false },
    ...(deep ? [{ name: 'app.list', type: 'app.list[]', value: fc.constantFrom('{"{1,2}","{3}"}', '{NULL}'), isArray: true }] : []),
  ];
}

async function createTable(database: LegacyDatabase, table: string, columns: readonly Column[]): Promise<void> {
  const list = columns.map(({ type }, index) => `c${index} ${type}`).join(', ');
  await database.query(
    `CREATE TABLE ${table} (id bigserial PRIMARY KEY, phase text, ${list}, updated_at timestamptz NOT NULL DEFAULT now()); GRANT SELECT ON ${table} TO cdc_poller`,
  );
}

async function insert(database: LegacyDatabase, table: string, columns: readonly Column[], phase: string, round: number): Promise<void> {
  const row = fc.tuple(...columns.map(({ value }) => fc.option(value, { freq: 9 })));
  const rows = fc.sample(row, { seed: seed + round, numRuns: rowsOfRound });
  const names = columns.map((_, index) => `c${index}`).join(', ');
  const values = rows.map(
    (cells) =>
      `('${phase}', ${cells.map((cell, index) => (cell === null ? 'NULL' : `${escapeLiteral(cell)}::${columns[index]?.type}`)).join(', ')})`,
  );
  await database.query(`INSERT INTO ${table} (phase, ${names}) VALUES ${values.join(', ')}`);
}

async function afterById(kafka: Kafka, topic: string): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const found = new Map<string, ReadonlyMap<string, string>>();
  await readToEnd(kafka, topic, ({ value }) => {
    const after = value === null ? undefined : rawMember(value.toString(), 'after');
    if (after !== undefined) found.set(rawMember(after, 'id') ?? '', new Map(rawMembers(after)));
  });
  return found;
}

/** What no event has: where an array begins, the zone of a time, zeros that lead a varbit. */
function asReported({ name, isArray }: Column, text: string | null): string | null {
  if (text === null || name === 'timetz') return null;
  const plain = isArray && !text.startsWith('[[') && text !== '[null]' ? text.replace(/^\[.*?\]=/, '') : text;
  return name === 'varbit' ? plain.replaceAll(/(?<![01])0+/g, '').replaceAll('""', '') : plain;
}

/** Arrays of a domain over arrays are no type that a mirror could have: it keeps them as JSON. */
const nestedLists: Readonly<Record<string, string>> = { '{"{1,2}","{3}"}': '[[1,2],[3]]', '{NULL}': '[null]' };

type Rows = readonly Record<string, string | null>[];

/** Applies a topic to a mirror that is made from the source's catalogue, which must hold what the source holds, where `isReported`. */
async function assertMirror(
  prefix: string,
  table: string,
  mirrors: readonly WantedMirror[],
  columns: readonly Column[],
  source: Rows,
  isReported: (column: Column, text: string, row: Record<string, string | null>) => boolean,
): Promise<void> {
  await using model = await createReadModel({ prefix, topics: false, mirrors });
  await using running = await model.start();
  void running;
  const texts = columns.map((_, index) => `c${index}::text`).join(', ');
  const mirror = await eventually(
    () => model.read.query(`SELECT id, ${texts} FROM model.${table} ORDER BY id`),
    (found) => found.length === source.length,
    120_000,
  ).catch((error: unknown) => assert.fail(`${String(error).slice(0, 200)}\n${model.log().slice(-3000)}`));
  const wrong: unknown[] = [];
  for (const [at, row] of mirror.entries()) {
    for (const [index, column] of columns.entries()) {
      const [stored, meant] = [row[`c${index}`] ?? null, source[at]?.[`c${index}`] ?? null];
      const held = column.type === 'app.list[]' && meant !== null ? nestedLists[meant] : meant;
      if (asReported(column, stored) === asReported(column, held ?? null)) continue;
      if (meant !== null && !isReported(column, meant, source[at] ?? {})) continue;
      wrong.push({ id: row['id'], type: column.type, stored, meant });
    }
  }
  assert.deepEqual(wrong, []);
}

/** The same value of a type, in another text or of other last digits. */
function isLike(kind: Likeness, ours: string, theirs: string | undefined, isSingle: boolean): boolean {
  if (kind === 'same') return ours === theirs;
  if (kind !== 'number') return true;
  const numbers = (json: string): readonly string[] => json.split(',').map((part) => part.replaceAll(/[[\]]/g, '')).map((part) => (/^-?\d/.test(part) ? String(isSingle ? Math.fround(Number(part)) : Number(part)) : part)); // prettier-ignore
  return JSON.stringify(numbers(ours)) === JSON.stringify(numbers(theirs ?? ''));
}

const likenessOf = (column: Column, text: string, phase: string | null | undefined): Likeness =>
  likeness(column.name, column.isArray, text, phase === 'loaded' ? 'loaded' : 'streamed');

test('random values of every type, scalar and in arrays: both strategies say the same but for what is listed, and each mirror holds what its events could carry', async (t) => {
  t.diagnostic(`FC_SEED=${seed}`);
  const kafka = await testKafka();
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO cdc_poller, cdc_replicator; ${own}`);
  const [both, deep] = [columnsOf(false), columnsOf(true)];
  await createTable(database, 'common', both);
  await createTable(database, 'deep', deep);
  await insert(database, 'common', both, 'loaded', 0);
  await insert(database, 'deep', deep, 'loaded', 1);
  const name = uniqueName('values');
  const config = await testPipelineConfig(database, { name, tables: [{ table: 'public.common' }, { table: 'public.deep' }] });
  await using connector = await startTestConnector({ database, tables: ['public.common'] });
  await using poller = startTestPoller(config);
  await connector.streaming();
  for (let round = 1; round <= rounds; round += 1) {
    await insert(database, 'common', both, 'streamed', 2 * round);
    await insert(database, 'deep', deep, 'streamed', 2 * round + 1);
  }
  await Promise.race([untilPublished(kafka, config, database, 180_000), poller.ended]);
  const select = (table: string, columns: readonly Column[]): Promise<Rows> =>
    database.query(`SELECT id, phase, ${columns.map((_, index) => `c${index}::text`).join(', ')} FROM ${table} ORDER BY id`);
  const [source, deepSource] = [await select('common', both), await select('deep', deep)];
  const [logTopic, queryTopic] = [connector.topic('public.common'), `${name}.public.common`];
  {
    await using observer = await observeTopics(kafka, [logTopic], uniqueName('group'));
    await observer.until(
      () => observer.messages.length >= source.length,
      () => `${observer.messages.length} of ${source.length} events in ${logTopic}`,
      120_000,
    );
  }
  const [log, query] = [await afterById(kafka, logTopic), await afterById(kafka, queryTopic)];
  assert.equal(query.size, source.length);
  const differences = new Map<string, string>();
  for (const row of source) {
    const [ours, theirs] = [query.get(row['id'] ?? ''), log.get(row['id'] ?? '')];
    for (const [index, column] of both.entries()) {
      const text = row[`c${index}`] ?? null;
      const [our = '', their] = [ours?.get(`c${index}`), theirs?.get(`c${index}`)];
      const kind = text === null ? 'lost' : likenessOf(column, text, row['phase']);
      if (!isLike(kind, our, their, column.name === 'float4'))
        differences.set(`${column.type} ${row['phase']}`, `${text}: query ${our}, log ${their}`);
    }
  }
  assert.deepEqual([...differences], []);
  await poller.stop();
  const [common, further] = [
    await capturedMirrors(database.config, ['public.common']),
    await capturedMirrors(database.config, ['public.deep']),
  ];
  await assertMirror(name, 'common', common, both, source, () => true);
  await assertMirror(name, 'deep', further, deep, deepSource, () => true);
  await assertMirror(
    connector.prefix,
    'common',
    common,
    both,
    source,
    (column, text, row) => likenessOf(column, text, row['phase']) !== 'lost',
  );
});
