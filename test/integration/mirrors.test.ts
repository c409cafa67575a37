import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { pino } from 'pino';
import * as z from 'zod';
import { CdcError, pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { pollerCommand } from '#cdc-poller/commands.ts';
import type { PartitionOffsets } from '#kafka/index.ts';
import { migrate, startReadModel } from '#read-model/index.ts';
import { silentLogger } from '#pipeline/index.ts';
import { deleteRecords } from '#test/support/delete-records.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { testKafka } from '#test/support/kafka.ts';
import { capturedMirrors } from '#test/support/captured-mirrors.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { mariadbSamples } from '#test/support/mariadb-samples.ts';
import { orderMirrors, orderView } from '#test/support/order-mirrors.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase, eventually, type ReadDatabase } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';

/** A folder without projections. */
const nowhere = '/nowhere';

/** A schema of somebody's own, with what schemas have. */
const ddl = `
  CREATE SCHEMA "Sales Dept"; CREATE TYPE mood AS ENUM ('so so', 'good'); CREATE DOMAIN percent AS numeric(5,2);
  CREATE TABLE "Sales Dept"."Order Lines" ("Order No" integer, "Line" smallint, price percent, updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY ("Order No", "Line"));
  CREATE TABLE people (id uuid PRIMARY KEY, name varchar(20), mood mood, tags text[], moods mood[], doubled int GENERATED ALWAYS AS (2 * age) STORED, age int,
                       secret text, updated_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE parts (id bigint, day date, note text, updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE TABLE later (id bigserial PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT now());
  GRANT USAGE ON SCHEMA "Sales Dept" TO cdc_poller; GRANT SELECT ON ALL TABLES IN SCHEMA "Sales Dept", public TO cdc_poller;
  INSERT INTO "Sales Dept"."Order Lines" VALUES (1, 1, 12.5), (1, 2, NULL);
  INSERT INTO people (id, name, mood, tags, moods, age, secret) VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'Zoë', 'so so', '{a,NULL}', '{good,"so so"}', 21, 'x');
  INSERT INTO parts VALUES (1, '2026-05-01', 'p'); INSERT INTO later (note) VALUES ('early'), ('bird');`;

const timed = (table: string, incrementingColumn: string, more: object = {}): { table: string; [setting: string]: unknown } => ({
  table,
  mode: 'timestamp',
  incrementingColumn,
  ...more,
});

async function configOf(
  database: LegacyDatabase,
  read: ReadDatabase,
  tables: readonly { table: string }[],
  model: object = {},
): Promise<PipelineConfig> {
  const name = uniqueName('mirrors');
  const config = await testPipelineConfig(database, { name, pollIntervalMs: 50, tables });
  return pipelineSchema.parse({ ...config, readModel: { ...read.config, models: { m: { topicPrefix: name, groupId: name, ...model } } } });
}

const people = timed('public.people', 'id', { excludeColumns: ['secret'], mask: { name: 'null' } });
const all = [timed('Sales Dept.Order Lines', 'Line'), people, timed('public.parts', 'id')];

const reading = (config: PipelineConfig): ReturnType<typeof startReadModel> =>
  startReadModel({ config, logger: silentLogger, signal: new AbortController().signal });

test('plan shows, migrate makes, both again find nothing to do; the mirrors hold what is captured, in types of the source', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(ddl);
  const config = await configOf(database, read, all);
  const cdc = terminal(readModelOf, config, nowhere);
  const planned = await cdc.run('plan');
  assert.equal(planned.exitCode, 2);
  for (const part of ['CREATE TABLE "Order Lines"', '"price" numeric', 'PRIMARY KEY ("Order No", "Line")', '"moods" text[]', '"id" uuid NOT NULL']) assert.ok(planned.printed.includes(part), part);
  assert.ok(!planned.printed.includes('secret'), 'what the poller does not publish is no column');
  assert.match((await cdc.run('migrate')).printed, /m: make people, the mirror of public\.people/);
  assert.match((await cdc.run('migrate')).printed, /^m: up to date$/);
  const again = await cdc.run('plan');
  assert.deepEqual([again.exitCode, again.printed], [0, 'm: nothing to do']);
  await using poller = startTestPoller(config);
  await using running = await reading(config);
  const [person] = await eventually(
    () => read.query('SELECT id, name, mood, tags::text, moods::text, doubled, age FROM m.people'),
    (rows) => rows.length === 1,
  );
  assert.deepEqual(Object.values(person ?? {}), ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null, 'so so', '{a,NULL}', '{good,"so so"}', '42', '21']);
  await eventually(
    () => read.query('SELECT "Order No", "Line", price FROM m."Order Lines" ORDER BY 2'),
    (rows) => JSON.stringify(rows.map((row) => Object.values(row))) === '[["1","1","12.50"],["1","2",null]]',
  );
  await eventually(
    () => read.query('SELECT id, day, note FROM m.parts'),
    (rows) => rows.length === 1,
  );
  void [poller, running];
}); // prettier-ignore

test('beside a running model a table is added and filled from its topic, another is dropped and made again; the others go on', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(ddl);
  const tables = [people, timed('public.later', 'id')];
  const config = await configOf(database, read, tables, { tables: ['public.people'] });
  await using poller = startTestPoller(config);
  await terminal(readModelOf, config, nowhere).run('migrate');
  await using running = await reading(config);
  await eventually(
    () => read.query('SELECT id FROM m.people'),
    (rows) => rows.length === 1,
  );
  const wider: PipelineConfig = pipelineSchema.parse({
    ...config,
    readModel: { ...read.config, models: { m: { ...config.readModel?.models['m'], tables: ['public.people', { table: 'public.later', deletes: 'mark', history: true }] } } },
  });
  const cdc = terminal(readModelOf, wider, nowhere);
  await cdc.run('migrate');
  const notes = (): Promise<readonly unknown[]> => read.query('SELECT note FROM m.later ORDER BY id');
  await eventually(notes, (rows) => rows.length === 2);
  assert.equal((await read.query('SELECT FROM m.later_history')).length, 2);
  const dropped = await cdc.run('migrate', '--drop', 'later');
  assert.match(dropped.printed, /drop later/);
  assert.equal((await read.query("SELECT to_regclass('m.later_history') AS found"))[0]?.['found'], null);
  await cdc.run('migrate');
  await database.query("INSERT INTO later (note) VALUES ('worm'); UPDATE people SET age = 30, updated_at = clock_timestamp()");
  await eventually(notes, (rows) => rows.length === 3);
  await eventually(
    () => read.query('SELECT age FROM m.people'),
    ([row]) => row?.['age'] === '30',
  );
  assert.match((await terminal(readModelOf, config, nowhere).run('plan')).progress, /later \(of public\.later\) is not asked for any more/);
  void [poller, running];
}); // prettier-ignore

test('a table whose topic has lost its beginning: plan, migrate and the running model say what its mirror may miss, and what they say fills it', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(ddl);
  const config = await configOf(database, read, [people, timed('public.later', 'id')], { tables: ['public.people'] });
  const kafka = await testKafka();
  await using admin = await kafka.admin();
  const topic = `${config.poller?.topicPrefix}.public.later`;
  // Of a topic that is only compacted Kafka deletes no beginning.
  await admin.ensureTopics([{ topic, partitions: 3, replicationFactor: 1, config: { 'cleanup.policy': 'compact,delete' } }]);
  await using poller = startTestPoller(config);
  await terminal(readModelOf, config, nowhere).run('migrate');
  let log = '';
  const logger = pino({ level: 'warn' }, { write: (line: string) => (log += line) });
  await using running = await startReadModel({ config, logger, signal: new AbortController().signal });
  const offsets = (): Promise<readonly PartitionOffsets[]> => admin.offsetsOf(topic);
  await eventually(offsets, (found) => found.reduce((sum, { high, low }) => sum + high - low, 0n) >= 2n);
  const wider = pipelineSchema.parse({
    ...config,
    readModel: { ...read.config, models: { m: { ...config.readModel?.models['m'], tables: ['public.people', 'public.later'] } } },
  });
  const cdc = terminal(readModelOf, wider, nowhere);
  assert.doesNotMatch((await cdc.run('plan')).progress, /miss/, 'a topic with its beginning');
  for (const { partition, high } of await offsets()) if (high > 0n) await deleteRecords(topic, partition, high);
  const says = /public\.later may miss rows, since topic \S+\.public\.later, partition \d begins at offset \d+/;
  assert.match((await cdc.run('plan')).progress, says);
  const { progress } = await cdc.run('migrate');
  assert.match(progress, says);
  assert.doesNotMatch(progress, /public\.people may/);
  await eventually(async () => log, (text) => says.test(text));
  const reset = /cdc poller (?<words>reset --table public\.later)/.exec(progress)?.groups?.['words'] ?? '';
  await terminal(pollerCommand, wider, nowhere).run(...reset.split(' '));
  await eventually(() => read.query('SELECT note FROM m.later ORDER BY id'), (rows) => rows.length === 2);
  assert.doesNotMatch((await cdc.run('plan')).progress, /miss/, 'nothing is to be filled any more');
  void [poller, running];
}); // prettier-ignore

/** A project's folder with projections. */
async function folderWith(projections: Readonly<Record<string, string>>): Promise<AsyncDisposable & { readonly folder: string; readonly write: (name: string, text: string) => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-mirrors-'));
  await mkdir(join(folder, 'projections'));
  const write = (name: string, text: string): Promise<void> => writeFile(join(folder, 'projections', `${name}.sql`), text);
  for (const [name, text] of Object.entries(projections)) await write(name, text);
  return { folder, write, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
} // prettier-ignore

const refusalOf = async (run: Promise<unknown>): Promise<CdcError> => {
  const error: unknown = await run.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CdcError, String(error));
  return error;
};

test('a mirror that a projection, or somebody’s own view, reads is not dropped: who does is named, and what is said to be done first does it', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(ddl);
  const config = await configOf(database, read, [people, timed('public.later', 'id')], {
    tables: ['public.people', { table: 'public.later', history: true }],
  });
  await using project = await folderWith({ ages: '-- key: id\nSELECT id, age FROM people' });
  const cdc = terminal(readModelOf, config, project.folder);
  await cdc.run('migrate');
  await using poller = startTestPoller(config);
  await using running = await reading(config);
  await eventually(
    () => read.query('SELECT id FROM m.ages UNION ALL SELECT NULL FROM m.later'),
    (rows) => rows.length === 3,
  );
  await read.query(`CREATE VIEW "of later" AS SELECT id FROM m.later_history; CREATE VIEW totals AS SELECT count(*) FROM "of later";
    CREATE TABLE notes (id bigint REFERENCES m.later); CREATE FUNCTION named(m.later) RETURNS text LANGUAGE sql AS 'SELECT $1.note'`);
  const planned = await cdc.run('plan', '--drop', 'people', 'later', 'nobody');
  assert.deepEqual([planned.exitCode, planned.printed], [0, 'm: nothing to do']);
  assert.match(planned.progress, /refused: people cannot be dropped: projections\/ages\.sql reads it, for the view ages\./);
  assert.match(planned.progress, /refused: later cannot be dropped: .*view public\."of later"/);
  assert.match(planned.progress, /there is no mirror nobody to drop/);
  const both = await refusalOf(cdc.run('migrate', '--drop', 'people', 'later'));
  assert.equal(both.code, 'READ_MODEL_MIRROR_IN_USE');
  for (const name of ['projections/ages.sql', 'view public."of later"', 'view public.totals', 'constraint notes_id_fkey on table public.notes', 'function public.named(m.later)'])
    assert.ok(both.message.includes(name), name);
  assert.equal((await read.query('SELECT FROM m.people, m.later')).length, 2, 'nothing is dropped, and nothing that was not asked for');

  const { remedy } = await refusalOf(cdc.run('migrate', '--drop', 'later'));
  await read.query(/if it is needed: (.*)\. Then: cdc read-model migrate --model m --drop later$/.exec(remedy)?.[1] ?? 'no SQL');
  assert.match((await cdc.run('migrate', '--drop', 'later')).printed, /drop later/);

  const ofProjection = await refusalOf(cdc.run('migrate', '--drop', 'people'));
  assert.match(ofProjection.remedy, /^Take people out of projections\/ages\.sql .*: cdc read-model rebuild --model m --switch .*\. Then: cdc read-model migrate --model m --drop people$/);
  await rm(join(project.folder, 'projections', 'ages.sql'));
  await cdc.run('rebuild', '--model', 'm', '--switch');
  assert.match((await cdc.run('migrate', '--model', 'm', '--drop', 'people')).printed, /drop people/);
  assert.equal((await read.query("SELECT to_regclass('m.people') AS found"))[0]?.['found'], null);
  void [poller, running];
}); // prettier-ignore

test('of a mirror that is not asked for any more, plan says who reads it; of one that must be made again, too', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(ddl);
  await using project = await folderWith({ ages: '-- key: id\nSELECT id, age FROM people' });
  const tables = [people, timed('public.later', 'id')];
  const config = await configOf(database, read, tables, { tables: ['public.people', { table: 'public.later', deletes: 'mark' }] });
  await terminal(readModelOf, config, project.folder).run('migrate');
  await read.query('CREATE VIEW notes AS SELECT note FROM m.later');
  const narrower = pipelineSchema.parse({
    ...config,
    readModel: { ...read.config, models: { m: { ...config.readModel?.models['m'], tables: ['public.later'] } } },
  });
  const { progress } = await terminal(readModelOf, narrower, project.folder).run('plan');
  assert.match(progress, /people \(of public\.people\) is not asked for any more/);
  assert.match(progress, /people cannot be dropped as it is: projections\/ages\.sql reads it/);
  assert.match(progress, /later marks deleted rows, and is asked to remove them/);
  assert.match(progress, /later cannot be dropped as it is: view public\.notes would go with it\. .*DROP VIEW public\.notes/);
});

test('plan shows views as SQL that makes what migrate makes; then, of files that were changed, in what they differ', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(ddl);
  const config = await configOf(database, read, [people, timed('public.later', 'id')]);
  await using project = await folderWith({
    ages: '-- key: age\n-- index: n\nSELECT p.age, count(*) AS n, min(p.name) COLLATE "C" AS first, 1.5::numeric(5,2) AS rate\n  FROM people p JOIN later l ON l.note = p.name GROUP BY p.age',
    notes: '-- key: id\nSELECT id, note FROM later',
  });
  const cdc = terminal(readModelOf, config, project.folder);
  const shown = await cdc.run('plan');
  assert.match(shown.printed, /-- make the view ages, of projections\/ages\.sql\nCREATE TABLE "ages" \(\n {2}"age" integer,\n {2}"n" bigint,/);
  const [plan] = planned.parse(JSON.parse((await cdc.run('plan', '--json')).printed));
  await migrate(read.owner, { schema: 'by_hand' });
  await read.query(['SET search_path = by_hand', ...[...(plan?.plan.steps ?? []), ...(plan?.plan.views ?? [])].flatMap(({ statements }) => statements), 'RESET search_path'].join(';\n'));
  assert.match((await cdc.run('migrate')).printed, /m: make the view ages/);
  const shape = async (schema: string): Promise<readonly unknown[]> => [
    ...(await read.query(
      `SELECT table_name, column_name, ordinal_position, data_type, numeric_precision, numeric_scale, collation_name, is_nullable
         FROM information_schema.columns WHERE table_schema = '${schema}' ORDER BY 1, 3`,
    )),
    ...(await read.query(`SELECT tablename, replace(indexdef, '${schema}.', '') AS index FROM pg_indexes WHERE schemaname = '${schema}' ORDER BY 1, 2`)),
  ];
  assert.deepEqual(await shape('by_hand'), await shape('m'));
  assert.equal((await cdc.run('plan')).exitCode, 0);

  await read.query("INSERT INTO m.applied_offsets (topic, partition, next_offset) VALUES ('t', 0, 1)");
  await project.write('ages', '-- key: age, mood\n-- index: first\nSELECT p.age, p.mood, count(*) AS n, min(p.name) AS first, max(p.id::text) AS last\n  FROM people p GROUP BY p.age, p.mood');
  await project.write('more', '-- key: id\nSELECT id, mood FROM people');
  await rm(join(project.folder, 'projections', 'notes.sql'));
  const { progress } = await cdc.run('plan');
  for (const part of ['column last text is new', 'column first is text, was text COLLATE pg_catalog."C"', 'column rate is gone', 'column mood text is new', 'the key is (age, mood), was (age)', 'an index on first is new', 'an index on n is gone', 'the query is another one'])
    assert.ok(progress.includes(part), part);
  assert.match(progress, /projections\/more\.sql: the view more is not there yet:\nCREATE TABLE "more" \(\n {2}"id" uuid,\n {2}"mood" text\n\);\nALTER TABLE "more" ADD PRIMARY KEY \("id"\);/);
  assert.match(progress, /projections\/notes\.sql: the view notes is there, and its file is no more/);
  assert.match(progress, /cdc read-model rebuild --model m --switch/);
}); // prettier-ignore

const statements = z.array(z.object({ statements: z.array(z.string()) }));
const planned = z.array(z.object({ plan: z.object({ steps: statements, views: statements }) }));

/** What an hstore and an ltree may hold, as SQL. */
const extensionValues = [
  [String.raw`'a=>1, "b c"=>NULL, "d\"e"=>"f\\g", ""=>"", "{"=>"}"'`, "'Top.Science.x-y'"],
  [`hstore('ключ', '{"json": [1, null]}') || hstore('n', 'NULL')`, "'a'"],
  ["''", "''"],
  ['NULL', 'NULL'],
] as const;

test('hstore and ltree: columns of these types where the read database has them, text elsewhere and in keys; both strategies fill them with what the source holds', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(`CREATE EXTENSION hstore; CREATE EXTENSION ltree;
    CREATE TABLE tagged (path ltree, id int, tags hstore, label ltree, list hstore[], updated_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (id, path))`);
  const insert = (from: number): Promise<unknown> =>
    database.query(extensionValues.map(([tags, label], index) => `INSERT INTO tagged VALUES ('k', ${from + index}, ${tags}, ${label})`).join('; '));
  await database.query('GRANT SELECT ON tagged TO cdc_poller');
  await insert(0);
  await using connector = await startTestConnector({ database, tables: ['public.tagged'] });
  const config = await configOf(database, read, [timed('public.tagged', 'id', { keysAsWritten: true })]);
  const both = pipelineSchema.parse({
    ...config,
    readModel: { ...read.config, models: { ...config.readModel?.models, l: { topicPrefix: connector.prefix, groupId: connector.prefix } } },
  });
  const cdc = terminal(readModelOf, config, nowhere);
  const without = await cdc.run('plan');
  assert.match(without.printed, /-- make tagged, the mirror of public\.tagged \(text, as the read database has no such extension: tags hstore, label ltree\)/);
  assert.match(without.printed, /"tags" text,\n {2}"label" text,/);
  await cdc.run('migrate');
  await read.query('CREATE SCHEMA "more of it"; CREATE EXTENSION hstore SCHEMA "more of it"; CREATE EXTENSION ltree SCHEMA public');
  assert.deepEqual((await cdc.run('plan')).progress, '', 'a mirror that was made before stays as it is');
  await cdc.run('migrate', '--drop', 'tagged');
  assert.match((await cdc.run('plan')).printed, /"path" text NOT NULL,\n {2}"id" integer NOT NULL,\n {2}"tags" "more of it"\.hstore,\n {2}"label" (?:public\.)?ltree,\n {2}"list" text\[\],/);
  await cdc.run('migrate');
  await migrate(read.owner, { schema: 'l', asked: { topicPrefix: connector.prefix, mirrors: await capturedMirrors(database.config, ['public.tagged']) } });
  await using poller = startTestPoller(config);
  await using running = await reading(both);
  await connector.streaming();
  await insert(10);
  await database.query("UPDATE tagged SET tags = tags || hstore('more', 'x'), updated_at = clock_timestamp() WHERE id IN (0, 10)");
  const ofSource = await database.query('SELECT id::text, tags::text, label::text FROM tagged ORDER BY tagged.id');
  for (const model of ['m', 'l']) {
    const ask = (): Promise<readonly unknown[]> => read.query(`SELECT id, tags::text, label::text FROM ${model}.tagged ORDER BY tagged.id`);
    await eventually(ask, (rows) => JSON.stringify(rows) === JSON.stringify(ofSource));
    assert.deepEqual(await read.query(`SELECT code FROM ${model}.parked_events`), []);
  }
  void [poller, running, connector];
}); // prettier-ignore

test('plan waits for no reader, and no reader waits for it, whatever there is to do', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using read = await createReadDatabase();
  await database.query(ddl);
  const config = await configOf(database, read, [timed('public.later', 'id')]);
  const cdc = terminal(readModelOf, config, nowhere);
  await cdc.run('migrate');
  await database.query('ALTER TABLE later ADD COLUMN extra int');
  await using reader = await connected(read);
  await reader.query('BEGIN; SELECT count(*) FROM m.later');
  const planned = await cdc.run('plan');
  assert.match(planned.printed, /ADD COLUMN "extra"/);
  assert.equal(planned.progress, '', 'it waited for nobody');
});

test('the models of an older program are taken over with their rows', async () => {
  await using read = await createReadDatabase();
  const folder = join(repositoryRoot, 'test/fixtures/older-read-model');
  const files = ['001-mirrors.sql', '003-order-view.sql', '005-source-changes.sql'];
  const older = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  await migrate(read.owner, { schema: 'model' });
  await using client = await connected(read);
  await client.query(`SET search_path = model; DROP TABLE mirrored_tables, moved_rows, projection_faults, model_projections`);
  for (const sql of older) await client.query(sql);
  await client.query(`
    DELETE FROM knex_migrations WHERE name ~ '^01';
    UPDATE knex_migrations SET name = '001-mirrors.sql', hash = 'older' WHERE name = '001-mirrored-tables.sql';
    UPDATE knex_migrations SET name = '005-source-changes.sql', hash = 'older' WHERE name = '005-moved-rows.sql';
    INSERT INTO knex_migrations (name, batch, migration_time, hash) VALUES ('003-order-view.sql', 1, now(), 'older');
    UPDATE model_version SET projections = 'of an older program'; INSERT INTO applied_offsets (topic, partition, next_offset) VALUES ('log.public.products', 0, 1);
    INSERT INTO products (id, sku, name, price, active, updated_at) VALUES (1, 's', 'n', 1, true, now())`);
  const { plan } = await migrate(read.owner, {
    schema: 'model',
    asked: { topicPrefix: 'log', mirrors: orderMirrors, projections: orderView },
  });
  assert.deepEqual(
    plan.steps.map(({ what }) => what),
    orderMirrors.map(({ table }) => `take ${table} over into the configuration`),
  );
  assert.match(plan.notes.join(), /To bring the files in: cdc read-model rebuild --model model --switch/);
  assert.equal((await read.query('SELECT FROM model.products')).length, 1);
});

test('what MariaDB has of types goes into a mirror from its catalogue', { skip: (await whyNoMariadb()) ?? false }, async () => {
  const columns = Object.keys(mariadbSamples).map((type, index) => `c${index} ${type}`);
  const depth = Math.max(...Object.values(mariadbSamples).map((samples) => samples.length));
  const rows = Array.from({ length: depth }, (_, at) => Object.values(mariadbSamples).map((samples) => samples[at % samples.length]?.[0] ?? 'NULL'));
  const names = columns.map((column) => column.split(' ')[0]).join(', ');
  await using scene = await createMariadbScene(
    [
      "SET time_zone = '+03:00', sql_mode = ''",
      `CREATE TABLE samples (id bigint AUTO_INCREMENT PRIMARY KEY, ${columns.join(', ')}, updated_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))`,
      ...rows.map((values) => `INSERT INTO samples (${names}) VALUES (${values.join(', ')})`),
    ],
    { tables: [{ table: 'samples', overlapMs: 5000 }] },
  );
  await using read = await createReadDatabase();
  const config = pipelineSchema.parse({ ...scene.config, readModel: { ...read.config, models: { m: { topicPrefix: scene.name, groupId: scene.name } } } });
  await terminal(readModelOf, config, nowhere).run('migrate');
  await using poller = startTestPoller(config);
  await using running = await reading(config);
  const mirror = await eventually(
    () => read.query('SELECT * FROM m.samples ORDER BY id'),
    (found) => found.length === depth,
  );
  assert.deepEqual(await read.query('SELECT code FROM m.parked_events'), []);
  const wrong: unknown[] = [];
  for (const [at, row] of mirror.entries())
    for (const [index, [type, samples]] of Object.entries(mariadbSamples).entries()) {
      const json = samples[at % samples.length]?.[1] ?? 'null';
      if ((row[`c${index}`] === null) !== (json === 'null')) wrong.push({ type, json, stored: row[`c${index}`] });
      const told: unknown = JSON.parse(json, (_, value: unknown, context?: { source?: string }) => (typeof value === 'number' ? (context?.source ?? value) : value));
      if (/^(?:tinyint|smallint|mediumint|int|bigint|decimal|varchar|text|longtext|char|enum|set|uuid|inet6|json|year)/.test(type) && row[`c${index}`] !== told) wrong.push({ type, told, stored: row[`c${index}`] });
    }
  assert.deepEqual(wrong, []);
  void [poller, running];
}); // prettier-ignore

async function connected(read: ReadDatabase): Promise<Client & AsyncDisposable> {
  const client = new Client(read.owner);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
