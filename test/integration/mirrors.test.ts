import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import { migrate } from '#read-model/index.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { mariadbSamples } from '#test/support/mariadb-samples.ts';
import { orderMirrors, orderView } from '#test/support/order-mirrors.ts';
import { configOf, ddl, nowhere, people, reading, timed } from '#test/support/mirror-scene.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase, eventually, type ReadDatabase } from '#test/support/read-database.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';

const all = [timed('Sales Dept.Order Lines', 'Line'), people, timed('public.parts', 'id')];

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
  assert.match((await terminal(readModelOf, config, nowhere).run('plan')).progress, /later \(of public\.later\) is no longer configured/);
  void [poller, running];
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
      const reported: unknown = JSON.parse(json, (_, value: unknown, context?: { source?: string }) => (typeof value === 'number' ? (context?.source ?? value) : value));
      if (/^(?:tinyint|smallint|mediumint|int|bigint|decimal|varchar|text|longtext|char|enum|set|uuid|inet6|json|year)/.test(type) && row[`c${index}`] !== reported) wrong.push({ type, reported, stored: row[`c${index}`] });
    }
  assert.deepEqual(wrong, []);
  void [poller, running];
}); // prettier-ignore

async function connected(read: ReadDatabase): Promise<Client & AsyncDisposable> {
  const client = new Client(read.owner);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
