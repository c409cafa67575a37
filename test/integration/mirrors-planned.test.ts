import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import * as z from 'zod';
import { pollerCommand } from '#cdc-poller/commands.ts';
import type { PartitionOffsets } from '#kafka/index.ts';
import { CdcError, pipelineSchema } from '#pipeline/index.ts';
import { migrate, startReadModel } from '#read-model/index.ts';
import { capturedMirrors } from '#test/support/captured-mirrors.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { deleteRecords } from '#test/support/delete-records.ts';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { configOf, ddl, nowhere, people, reading, timed } from '#test/support/mirror-scene.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase, eventually } from '#test/support/read-database.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';

/** What plan and migrate say before it hurts: who reads a mirror, what a topic has lost, which SQL makes the views, which types are text. */

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

const statementsJson = z.array(z.object({ statements: z.array(z.string()) }));
const planJson = z.array(z.object({ plan: z.object({ steps: statementsJson, views: statementsJson }) }));

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

test('of a mirror that is no longer configured, plan says who reads it; of one that must be made again, too', async () => {
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
  assert.match(progress, /people \(of public\.people\) is no longer configured/);
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
  const [plan] = planJson.parse(JSON.parse((await cdc.run('plan', '--json')).printed));
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
