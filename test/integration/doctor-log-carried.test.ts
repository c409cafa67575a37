import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import type { ConnectorConfig } from '#connectors/index.ts';
import { briefly, findingOf, startDoctorBench, type DoctorBench, type DoctorDatabase } from '#test/support/doctor.ts';
import { isLossy } from '#test/support/debezium-losses.ts';
import { waysOf } from '#test/support/remedies.ts';

let bench: DoctorBench;

before(async () => {
  bench = await startDoctorBench();
});

after(async () => {
  await bench[Symbol.asyncDispose]();
});

async function listed(db: DoctorDatabase, overrides: ConnectorConfig = {}): Promise<readonly string[]> {
  return briefly(await db.examine(['log'], { files: [await db.file(overrides)] }));
}

async function prepared(): Promise<DoctorDatabase> {
  const db = await bench.database();
  await db.prepare(await db.file());
  return db;
}

/** Without what other tests are about. */
const codes = (all: readonly string[]): readonly string[] => all.filter((one) => !/NOT_PUBLISHED public\.(?!comp)|_IMAGE_|TOAST/.test(one));

test('what the log does not hold of a table, and what prepare leaves, is reported beforehand', async () => {
  await using db = await prepared();
  await db.run(`CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw; SET ROLE legacy_owner;
    CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE derived () INHERITS (base);
    CREATE TABLE far (id int) PARTITION BY RANGE (id); RESET ROLE;
    CREATE FOREIGN TABLE far_rest PARTITION OF far DEFAULT SERVER elsewhere; ALTER FOREIGN TABLE far_rest OWNER TO legacy_owner; SET ROLE legacy_owner;
    CREATE TABLE keyless (id int) PARTITION BY RANGE (id);
    CREATE TABLE computed (id int PRIMARY KEY, a int GENERATED ALWAYS AS (id) STORED, b int GENERATED ALWAYS AS (id) VIRTUAL);
    CREATE DOMAIN amounts AS numeric(9,2)[];
    CREATE TABLE listed (id int PRIMARY KEY, matrix int[][], sums amounts, days date[], words text[]);
    GRANT SELECT ON base, derived, far, keyless, computed, listed TO cdc_replicator`);
  const tables = { 'table.include.list': 'public.base,public.far,public.keyless,public.computed,public.listed,cdc.heartbeat' };
  const left = [
    'error CHILDREN_NOT_CAPTURED public.base',
    'error PARTITIONS_WILL_BREAK_WRITES public.keyless',
    'error PARTITION_FOREIGN public.far',
    'error TABLE_NOT_PUBLISHED public.computed',
    'warning GENERATED_NOT_PUBLISHED public.computed',
    'warning VALUES_LOST public.listed',
    'info PARTITION_TRUNCATE public.far',
    'info PARTITION_TRUNCATE public.keyless',
  ];
  assert.deepEqual(codes(await listed(db, tables)).toSorted(), left.toSorted());
  const report = await db.examine(['log'], { files: [await db.file(tables)] });
  assert.match(findingOf(report, 'VALUES_LOST')?.cause ?? '', /of matrix, sums, days of/);
  assert.match(findingOf(report, 'GENERATED_NOT_PUBLISHED')?.cause ?? '', /have b of .* virtual/);
  await db.run('ALTER PUBLICATION cdc_publication SET (publish_generated_columns = none)');
  const more = { ...tables, 'column.exclude.list': String.raw`public\.computed\.b,public.listed.(matrix|sums|days)` };
  const fixed = await db.examine(['log'], { files: [await db.file(more)] });
  assert.equal(findingOf(fixed, 'VALUES_LOST'), undefined);
  const finding = findingOf(fixed, 'GENERATED_NOT_PUBLISHED');
  assert.match(finding?.cause ?? '', /have a of /);
  for (const sql of waysOf(finding?.remedy ?? '')[0] ?? []) await db.run(sql);
  assert.deepEqual(
    codes(await listed(db, more)).filter((one) => one.includes('GENERATED')),
    [],
  );
});

test('columns whose names Debezium changes are reported, and leaving them out is no way; those that it stops at too', async () => {
  await using db = await prepared();
  await db.run(`SET ROLE legacy_owner; CREATE TABLE quoted (id int PRIMARY KEY, "'x'" text, "x'" text, "ID" text);
    CREATE TABLE apart (id int PRIMARY KEY, "'x'" text, "x'" text); GRANT SELECT ON quoted, apart TO cdc_replicator`);
  const tables = {
    'table.include.list': 'public.quoted,public.apart,cdc.heartbeat',
    'column.exclude.list': String.raw`public.quoted.ID,public.apart.\'x\'`,
  };
  const report = await db.examine(['log'], { files: [await db.file(tables)] });
  const lost = report.findings.filter(({ code }) => code.startsWith('VALUES_')).map(({ code, cause }) => `${code} ${cause}`);
  assert.deepEqual(lost.toSorted(), [
    "VALUES_LOST Debezium does not carry every value of 'x' of public.apart.",
    "VALUES_LOST Debezium does not carry every value of 'x' of public.quoted.",
    'VALUES_STOP_CONNECTOR Any value in id, ID of public.quoted stops the connector: Debezium cannot read its type, or its name.',
  ]);
  assert.equal(findingOf(report, 'VALUES_LOST')?.remedy, 'Poll the table (docs/poller.md).');
});

/** Types of your own beside the built-in ones, with what the doctor is to say of a column of them: `-` nothing, else lost, stops or edge. */
const ownTypes: readonly (readonly [type: string, said: string, array: string])[] = [
  ['zoo.mood', '-', 'lost'],
  ['zoo."interval"', 'lost', 'lost'],
  ['zoo."int4"', 'stops', 'lost'],
  ['zoo."uuid"', '-', 'lost'],
  ['zoo."time"', 'lost', 'lost'],
  ['zoo.amount', '-', 'lost'],
  ['zoo.list', '-', 'lost'],
  ['zoo.sums', 'lost', 'lost'],
  ['zoo.deep', 'lost', 'lost'],
  ['zoo.span', 'edge', 'lost'],
  ['zoo.numbers', '-', 'lost'],
  ['zoo.citext', '-', '-'],
  ['zoo.cube', '-', 'lost'],
];

test('of every type that a column can have, scalar and in arrays, the doctor says whether Debezium loses values of it', async () => {
  await using db = await bench.database();
  await db.run(`CREATE SCHEMA zoo; CREATE EXTENSION citext SCHEMA zoo; CREATE EXTENSION cube SCHEMA zoo; CREATE TYPE zoo.mood AS ENUM ('a'); CREATE TYPE zoo."interval" AS ENUM ('a');
    CREATE TYPE zoo."int4" AS ENUM ('a'); CREATE TYPE zoo."uuid" AS ENUM ('a'); CREATE TYPE zoo."time" AS (a int); CREATE DOMAIN zoo.amount AS numeric; CREATE DOMAIN zoo.list AS int[];
    CREATE DOMAIN zoo.sums AS numeric[]; CREATE DOMAIN zoo.inner_deep AS int[][]; CREATE DOMAIN zoo.deep AS zoo.inner_deep; CREATE DOMAIN zoo.inner_span AS pg_catalog.interval; CREATE DOMAIN zoo.span AS zoo.inner_span;
    CREATE TYPE zoo.numbers AS RANGE (subtype = pg_catalog.int4)`);
  const builtIn =
    await db.run(`SELECT typname AS name FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
    AND typarray <> 0 AND typname <> 'gtsvector' ORDER BY 1`);
  const names = builtIn.map(({ name }) => `pg_catalog."${name ?? ''}"`);
  const types = [
    ...names.filter((name) => !/"(?:pg_(?!lsn|snapshot)\w+|char|regproc|regoper)"/.test(name)),
    ...ownTypes.map(([type]) => type),
  ];
  const columns = types.flatMap((type, at) => [`s${at} ${type}`, `a${at} ${type}[]`]);
  await db.run(
    `CREATE TABLE zoo.types (id int PRIMARY KEY, ${columns.join(', ')}); GRANT USAGE ON SCHEMA zoo TO cdc_replicator; GRANT SELECT ON zoo.types TO cdc_replicator`,
  );
  const { findings } = await db.examine(['log'], { files: [await db.file({ 'table.include.list': 'zoo.types,cdc.heartbeat' })] });
  const said = new Map<string, string>();
  for (const [code, loss] of [['VALUES_LOST', 'lost'], ['VALUES_STOP_CONNECTOR', 'stops'], ['VALUES_LOST_AT_EDGES', 'edge']] as const) {
    const cause = findings.find((one) => one.code === code)?.cause ?? '';
    for (const [column] of cause.matchAll(/\b[sa]\d+\b/g)) said.set(column, loss);
  } // prettier-ignore
  const saidOf = types.map((type, at) => `${type}: ${said.get(`s${at}`) ?? '-'}, in arrays ${said.get(`a${at}`) ?? '-'}`);
  const expected = types.map((type) => {
    const own = ownTypes.find(([name]) => name === type);
    const name = /"(?<name>.+)"/.exec(type)?.groups?.['name'] ?? '';
    const scalar = own?.[1] ?? (name === 'refcursor' ? 'stops' : isLossy(name, false) ? (name.endsWith('vector') ? 'lost' : 'edge') : '-');
    return `${type}: ${scalar}, in arrays ${own?.[2] ?? (name === 'refcursor' || isLossy(name, true) ? 'lost' : '-')}`;
  });
  assert.deepEqual(saidOf, expected);
});

test('a publication without UPDATE gets it only with what its tables need for it', async () => {
  await using db = await prepared();
  await db.run(`CREATE TABLE notes (text text); ALTER TABLE notes OWNER TO legacy_owner; INSERT INTO notes VALUES ('a'); GRANT SELECT, UPDATE ON notes TO legacy_app;
    ALTER PUBLICATION cdc_publication SET (publish = 'insert'); ALTER PUBLICATION cdc_publication ADD TABLE notes`);
  const { remedy = '' } = findingOf(await db.examine(['log'], { files: [await db.file()] }), 'PUBLICATION_OPERATIONS') ?? {};
  for (const sql of waysOf(remedy)[0] ?? []) {
    await db.run(sql);
    await runAs(db, `UPDATE notes SET text = 'b'`);
  }
  assert.deepEqual(await listed(db), []);
});

async function runAs(db: DoctorDatabase, sql: string): Promise<void> {
  const client = new Client(db.login('application'));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
