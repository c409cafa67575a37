import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createEventEncoder } from '#cdc-poller/encoding/event-encoder.ts';
import { dialectOf } from '#cdc-poller/dialects.ts';
import { findProblems } from '#cdc-poller/source/judge/judge-table.ts';
import type { ShapeFinding } from '#cdc-poller/source/judge/unfit-codes.ts';
import { knownTypes, refusedTypes } from '#cdc-poller/postgres/values/known-types.ts';
import type { SourceSession } from '#cdc-poller/source/dialect.ts';
import { readToEnd } from '#kafka/index.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { sqlName, valuesByName } from '#test/support/random-values.ts';
import { rawMember, rawMembers } from '#test/support/raw-json.ts';
import { uniqueName } from '#test/support/stack.ts';

/** FC_SEED repeats a run; TEST_NIGHTLY=1 makes many values. */
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
const rounds = process.env['TEST_NIGHTLY'] === '1' ? 200 : 12;

async function openSession(database: LegacyDatabase): Promise<SourceSession> {
  return await dialectOf(database.config).openSession(database.config, 'test', 60_000);
}

/** What a poller finds wrong with a table before it polls it. */
async function judge(
  session: SourceSession,
  table: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<readonly ShapeFinding[]> {
  const config = pollerTableSchema.parse({ table, ...settings });
  return findProblems(await session.dialect.readCatalog(session, config), config, 'cdc_poller', session.dialect.words);
}

const codes = (findings: readonly ShapeFinding[]): readonly string[] => findings.map(({ code, message }) => `${code} ${message}`);

/** Type, literal, and what is in `after`. */
const cases: readonly (readonly [type: string, literal: string, json: string])[] = [
  ['app."interval"', "'month'", '"month"'],
  ['app."bool"', "'yes'", '"yes"'],
  ['app."bool"[]', "'{yes,NULL}'", '["yes",null]'],
  ['app."timestamptz"', "'(1,x)'", '"(1,x)"'],
  ['interval', "'infinity'", '"infinity"'],
  ['interval', "'-infinity'", '"-infinity"'],
  ['interval[]', "'{-infinity,1 day}'", '["-infinity","P0Y0M1DT0H0M0S"]'],
  ['box[]', "'{(1,1),(0,0);(3,3),(2,2);NULL}'", '["(1,1),(0,0)","(3,3),(2,2)",null]'],
  ['box[]', "'{{(1,1),(0,0)};{(3,3),(2,2)}}'", '[["(1,1),(0,0)"],["(3,3),(2,2)"]]'],
  ['app.boxed[]', "'{(1,1),(0,0);(3,3),(2,2)}'", '["(1,1),(0,0)","(3,3),(2,2)"]'],
  ['oidvector', "'3 4'", '[3,4]'],
  ['int2vector', "''", '[]'],
  ['oidvector[]', `'{"3 4",5}'`, '[[3,4],[5]]'],
  ['app.pos[]', "'{1,2}'", '[1,2]'],
  ['app.pos[]', "'{{1},{2}}'", '[[1],[2]]'],
  ['app.later[]', "'{1,NULL}'", '[1,null]'],
  ['app.list', "'{1,2}'", '[1,2]'],
  ['app.list[]', `'{"{1,2}",NULL}'`, '[[1,2],null]'],
  ['app.exact[]', "'{1}'", '["1.00"]'],
  ['app.pair[]', `'{"(1,\\"x y\\")"}'`, String.raw`["(1,\"x y\")"]`],
  ['int4range[]', `'{"[1,5)"}'`, '["[1,5)"]'],
  ['int[]', "'[0:1]={1,2}'", '[1,2]'],
  ['timetz', "'24:00:00+00'", '"24:00:00Z"'],
  ['date', "'0001-12-31 BC'", '"0000-12-31Z"'],
];

test('a type is its schema and name, an array its elements with their delimiter, a domain its base type, an infinity no zero', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  const columns = cases.map(([type], index) => `c${index} ${type}`).join(', ');
  await database.query(`
    CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO cdc_poller;
    CREATE TYPE app."interval" AS ENUM ('month', 'year'); CREATE TYPE app."bool" AS ENUM ('yes', 'no'); CREATE TYPE app.pair AS (a int, b text);
    CREATE TYPE app."timestamptz" AS (a int, b text);
    CREATE DOMAIN app.pos AS integer CHECK (VALUE > 0); CREATE DOMAIN app.later AS app.pos; CREATE DOMAIN app.boxed AS box;
    CREATE DOMAIN app.list AS app.pos[]; CREATE DOMAIN app.exact AS numeric(9, 2);
    CREATE TABLE kinds (id bigint PRIMARY KEY, ${columns}, updated_at timestamptz NOT NULL DEFAULT now());
    GRANT SELECT ON kinds TO cdc_poller;
    INSERT INTO kinds VALUES (1, ${cases.map(([, literal]) => literal).join(', ')})`);
  const name = uniqueName('types');
  const kafka = await testKafka();
  const config = await testPipelineConfig(database, { name, tables: [{ table: 'public.kinds' }] });
  await using poller = startTestPoller(config);
  await Promise.race([untilPublished(kafka, config, database), poller.ended]);
  let after = '{}';
  await readToEnd(kafka, `${name}.public.kinds`, ({ value }) => {
    after = rawMember(String(value), 'after') ?? '{}';
  });
  const members = new Map(rawMembers(after));
  assert.deepEqual(
    cases.map(([type, literal], index) => [type, literal, members.get(`c${index}`)]),
    cases,
  );
  await poller.stop();
});

test('a type that the poller does not know is refused by table, column and type, wherever in a column it is; leaving it out is the way out', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TYPE holder AS (a int, b regproc); CREATE DOMAIN held AS holder;
    CREATE TABLE odd (id bigint PRIMARY KEY, g gtsvector, p regproc[], h held, ok text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE INDEX ON odd (updated_at, id);
    GRANT SELECT ON odd TO cdc_poller`);
  await using session = await openSession(database);
  assert.deepEqual(codes(await judge(session, 'public.odd')), [
    'COLUMN_TYPE_UNKNOWN column public.odd.g has type gtsvector: the poller does not know that its text is the whole value',
    'COLUMN_TYPE_UNKNOWN column public.odd.p has type regproc[]: the poller does not know that its text is the whole value',
    'COLUMN_TYPE_UNKNOWN column public.odd.h has type public.holder, which has a part of type regproc: the poller does not know that its text is the whole value',
  ]);
  assert.deepEqual(await judge(session, 'public.odd', { excludeColumns: ['g', 'p', 'h'] }), []);
});

test('every type of pg_catalog is known, made of what is known, or refused by name', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using session = await openSession(database);
  const rows = await session.query(
    "SELECT t.typname, t.typtype FROM pg_type t WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype <> 'p' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)",
  );
  const types = rows.map(([name, kind]) => ({ name: name ?? '', kind: kind ?? '' }));
  const base = types.filter(({ kind }) => kind === 'b').map(({ name }) => name);
  assert.deepEqual(base.filter((name) => !knownTypes.includes(name) && !refusedTypes.includes(name)), []); // prettier-ignore
  const generated = types.filter(({ name, kind }) => ['b', 'r', 'm'].includes(kind) && !refusedTypes.includes(name));
  assert.deepEqual(generated.filter(({ name }) => valuesByName[name] === undefined), [], 'types without random values'); // prettier-ignore
});

test('two values are one key to the database if and only if they are one event key, or their type is refused as a key', async (t) => {
  t.diagnostic(`FC_SEED=${seed}`);
  await using database = await createLegacyDatabase({ empty: true });
  await database.query("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
  const wanted = [
    ...Object.keys(valuesByName).map((name) => ({ type: sqlName(name), values: valuesByName[name] ?? fc.constant('') })),
    { type: 'numeric(8,3)', values: fc.integer({ min: -99, max: 99 }).map((value) => String(value / 10)) },
    { type: 'char(4)', values: fc.constantFrom('a', 'a ', ' a', 'A') },
    { type: 'text COLLATE nocase', values: fc.constantFrom('a', 'A', 'b') },
    { type: 'int[]', values: fc.constantFrom('{1}', '[0:0]={1}', '{2}', '{{1}}') },
  ];
  // Near ones are what collide.
  const near: Readonly<Record<string, readonly string[]>> = {
    numeric: ['1', '1.0', '1.00', '0', '0.0', '10', '100'],
    float8: ['0', '-0', '1', 'NaN'],
    float4: ['0', '-0', '1', 'NaN'],
    bpchar: ['a', 'a ', 'a  ', ' a'],
    varbit: ['0', '00', '', '1', '01'],
    bit: ['000000000', '000000001'],
    time: ['24:00:00', '00:00:00'],
    timetz: ['05:00:00+02', '03:00:00+00', '24:00:00+00', '00:00:00+00'],
    interval: ['1 day', '24:00:00', '30 days', '1 mon'],
    jsonb: ['1.0', '1.00', '1'],
    numrange: ['[1.0,2)', '[1.00,2)'],
    int4range: ['[1,2]', '[1,3)', '(0,3)'],
  };
  const refused = new Set<string>();
  const accepted = new Set<string>();
  await using session = await openSession(database);
  for (const [at, { type, values }] of wanted.entries()) {
    const name = `keys_${at}`;
    const made = await database.query(`CREATE TABLE ${name} (k ${type} PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now())`).then(
      () => true,
      () => false,
    );
    // Without an order, or with no equality at all, no index takes it.
    if (!made) continue;
    const settings = { mode: 'timestamp' };
    const findings = (await judge(session, `public.${name}`, settings)).filter(({ code }) => code !== 'SELECT_MISSING');
    const declared = (await judge(session, `public.${name}`, { ...settings, key: ['k'] })).filter(({ code }) => code !== 'SELECT_MISSING');
    assert.deepEqual(declared, findings, `${type}: a declared key is judged as the primary key is`);
    if (findings.length > 0) {
      assert.deepEqual([...new Set(findings.map(({ code }) => code))], ['KEY_UNFIT'], type);
      refused.add(type.replace(/^pg_catalog\./, '').replaceAll('"', ''));
      continue;
    }
    accepted.add(type.replace(/^pg_catalog\./, '').replaceAll('"', ''));
    const texts = [
      ...new Set([
        ...fc.sample(values, { seed, numRuns: rounds }),
        ...(near[type.replace(/^pg_catalog\.|"/g, '').replaceAll('"', '')] ?? []),
      ]),
    ];
    const config = pollerTableSchema.parse({ table: `public.${name}`, ...settings });
    const { columns, id } = await session.dialect.readCatalog(session, config);
    const encoder = createEventEncoder({
      database: 'd',
      table: id,
      prefix: 'p',
      columns,
      published: [],
      key: [0],
      timestamps: [],
      clock: null,
      encodeColumn: session.dialect.encodeColumn,
      keyText: session.dialect.keyText,
    });
    const literal = `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join(',')}}`;
    const castName = type === 'text COLLATE nocase' ? 'text' : type;
    const rows = await session.query(
      `SELECT v::${castName}, dense_rank() OVER (ORDER BY v::${castName}) FROM unnest($1::text[]) AS given (v)`,
      [literal],
    );
    const keysByRank = Map.groupBy(rows, ([, rank]) => rank);
    const ranksByKey = Map.groupBy(rows, ([value]) => encoder.key([value ?? null]));
    for (const [rank, same] of keysByRank) {
      assert.equal(new Set(same.map(([value]) => encoder.key([value ?? null]))).size, 1, `${type}: rank ${rank}: ${JSON.stringify(same)}`);
    }
    for (const [key, same] of ranksByKey)
      assert.equal(new Set(same.map(([, rank]) => rank)).size, 1, `${type}: ${key}: ${JSON.stringify(same)}`);
  }
  for (const type of ['varbit', 'timetz', 'interval', 'jsonb', 'numrange', 'text COLLATE nocase', 'int[]'])
    assert.ok(refused.has(type), `${type} is refused`);
  for (const type of ['int8', 'uuid', 'text', 'numeric', 'bit(9)', 'char(4)', 'timestamptz', 'date', 'float8', 'inet', 'int4range']) {
    assert.ok(accepted.has(type), `${type} is a fit key`);
  }
});

test('a key whose equal values have several texts is taken where the application promises to write each one way only', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE named (code text COLLATE nocase PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE vb (k varbit PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now());
    GRANT SELECT ON named, vb TO cdc_poller`);
  await using session = await openSession(database);
  const [finding] = await judge(session, 'public.named', { mode: 'timestamp' });
  assert.equal(finding?.code, 'KEY_UNFIT');
  assert.match(finding.remedy, /keysAsWritten: true/);
  assert.deepEqual(await judge(session, 'public.named', { mode: 'timestamp', keysAsWritten: true }), []);
  const [merged] = await judge(session, 'public.vb', { mode: 'timestamp', keysAsWritten: true });
  assert.equal(merged?.code, 'KEY_UNFIT', 'rows that would be one event key are no matter of how they are written');
});
