import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { escapeIdentifier } from 'pg';
import { formatTableId } from '#change-events/index.ts';
import type { PipelineConfig } from '#pipeline/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { comparable, refusalsByDoctor, refusalsByStart } from '#test/support/one-judge.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { polledKinds } from '#test/support/polling-kinds.ts';
import { uniqueName } from '#test/support/stack.ts';
import { zooFor, zooSchemas, zooSql } from '#test/support/table-zoo.ts';

type Entry = { readonly table: string; readonly [setting: string]: unknown };

/** What is refused is found beforehand with the same code, words and remedy, and nothing else is called an error. Returns the codes that were met. */
async function assertOneJudge(config: PipelineConfig): Promise<ReadonlySet<string>> {
  const found = await refusalsByDoctor(config);
  const refused = await refusalsByStart(config);
  const shown = (all: typeof found): Readonly<Record<string, string>> =>
    Object.fromEntries(
      [...all]
        .map(([table, one]) => [table, comparable(refused.get(table)?.code === 'left out' ? { ...one, code: 'left out' } : one)] as const)
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  assert.deepEqual(shown(found), shown(refused));
  return new Set([...found.values()].map(({ code }) => code));
}

const at = 'updated_at timestamptz NOT NULL DEFAULT now()';

/** Beside the zoo: what somebody may have written into poller.tables by mistake. */
const mistakes: readonly (readonly [sql: string, entry: Entry])[] = [
  ['', { table: 'zoo.nowhere' }],
  ['', { table: 'elsewhere.nowhere' }],
  [`CREATE TABLE zoo.m1 (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.m1', timestampColumn: 'changed_at' }],
  [`CREATE TABLE zoo.m2 (id bigint PRIMARY KEY, at timestamp NOT NULL)`, { table: 'zoo.m2', timestampColumn: 'at' }],
  [`CREATE TABLE zoo.m3 (id text PRIMARY KEY, ${at})`, { table: 'zoo.m3', mode: 'incrementing', incrementingColumn: 'id' }],
  [`CREATE TABLE zoo.m4 (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.m4', excludeColumns: ['id', 'nothing'] }],
  [`CREATE TABLE zoo.m5 (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.m5', mask: { id: 'null' } }],
  [`CREATE TABLE zoo.m6 (a text, b text, ${at}, PRIMARY KEY (a, b))`, { table: 'zoo.m6', mode: 'timestamp', sweep: {} }],
  [`CREATE TABLE zoo.m7 (id bigint PRIMARY KEY, gone pg_node_tree, ${at})`, { table: 'zoo.m7' }],
  [`CREATE TABLE zoo.m8 (id varbit PRIMARY KEY, ${at})`, { table: 'zoo.m8', mode: 'timestamp' }],
  [`CREATE TABLE zoo.m9 (id bigint, ${at})`, { table: 'zoo.m9', key: ['id', 'missing'], timestampColumn: 'updated_at', includeColumns: ['none'] }],
  ['CREATE VIEW zoo.m10 AS SELECT 1::bigint AS id', { table: 'zoo.m10', mode: 'incrementing' }],
  ['', { table: 'zoo.m11', query: 'SELECT * FROM zoo.nothing', key: ['id'] }],
  ['', { table: 'zoo.m12', query: 'SELECT 1::bigint AS id, now() AS updated_at' }],
  [`CREATE TABLE zoo.m13 (id jsonb PRIMARY KEY, updated_at text NOT NULL)`, { table: 'zoo.m13' }],
  [`CREATE TABLE zoo.m14 (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.m14', mode: 'incrementing' }],
  ['CREATE VIEW zoo.m15 AS SELECT 1::bigint AS id', { table: 'zoo.m15', mode: 'bulk', pollIntervalMs: 60_000 }],
  [`CREATE TABLE zoo."m x" (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.m x' }],
  [`CREATE TABLE zoo.m_x (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.m_x' }],
  [`CREATE TABLE zoo.pat_fit (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.pat_*' }],
  ['CREATE TABLE zoo.pat_unfit (value int)', { table: 'zoo.none_*' }],
  [`CREATE TABLE zoo.pat_secret (id bigint PRIMARY KEY, ${at})`, { table: 'zoo.also_none' }],
]; // prettier-ignore

test('Postgres, tables of every kind: what poller start refuses, doctor finds with the same code and remedy, and it calls nothing else an error', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  const kinds = polledKinds(18);
  const zoo = zooSql(zooFor(18), 'legacy_app');
  const own = kinds.map(({ create }) => create).filter((create) => !zoo.includes(create));
  await database.query([zoo, ...own, ...mistakes.map(([sql]) => sql)].filter((sql) => sql !== '').join(';\n'));
  // The other schema is not to be used, and some tables are not to be read.
  await database.query(`GRANT USAGE ON SCHEMA zoo TO cdc_poller; GRANT SELECT ON ALL TABLES IN SCHEMA ${zooSchemas.map((one) => escapeIdentifier(one)).join(', ')} TO cdc_poller;
    REVOKE SELECT ON zoo.triggered, zoo.no_key, zoo.pat_secret FROM cdc_poller; ALTER TABLE zoo.parent ENABLE ROW LEVEL SECURITY`);
  const name = uniqueName('judge');
  const entries = kinds.map(({ schema, table, settings }) => ({ table: formatTableId({ schema, table }), ...settings }));
  // A topic takes fewer letters than a table's name.
  const given = entries.map((entry, index) => ({ ...entry, topic: `${name}.${index}` }));
  const tables = [...given, ...mistakes.map(([, entry]) => entry)];
  const config = await testPipelineConfig(database, { name, sharing: 'takeover', pollIntervalMs: 5000, tables });
  const met = await assertOneJudge({ ...config, kafka: { ...config.kafka, partitions: 1 } });
  for (const code of ['TABLE_UNKNOWN', 'KEY_UNFIT', 'COLUMN_UNKNOWN', 'QUERY_INVALID', 'SELECT_MISSING', 'ROW_SECURITY', 'TOPIC_UNFIT', 'TABLES_UNFIT', 'SWEEP_KEY_UNFIT', 'SCHEMA_USAGE_MISSING', 'TABLE_INHERITED', 'SEQUENCE_UNFIT', 'COLUMN_NULLABLE', 'COLUMN_TYPE_UNFIT', 'COLUMN_TYPE_UNKNOWN', 'TABLE_KIND'])
    assert.ok(met.has(code), code); // prettier-ignore
});

const stamp = 'updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6)';

/** In a MariaDB, with tables in the scene's own database named without it. */
const mariadbKinds: readonly (readonly [sql: string, entry: Entry])[] = [
  [`CREATE TABLE fit (id bigint PRIMARY KEY AUTO_INCREMENT, ${stamp})`, { table: 'fit' }],
  [`CREATE TABLE ids (id bigint PRIMARY KEY AUTO_INCREMENT)`, { table: 'ids', mode: 'incrementing' }],
  [`CREATE TABLE versioned (id bigint PRIMARY KEY, ${stamp}) WITH SYSTEM VERSIONING`, { table: 'versioned' }],
  [`CREATE TABLE keyless (id bigint, ${stamp})`, { table: 'keyless' }],
  [`CREATE TABLE whole (id bigint)`, { table: 'whole', mode: 'bulk', pollIntervalMs: 60_000 }],
  [`CREATE TABLE local (id bigint PRIMARY KEY, at datetime NOT NULL)`, { table: 'local', timestampColumn: 'at' }],
  [`CREATE TABLE nullable (id bigint PRIMARY KEY, at timestamp NULL)`, { table: 'nullable', timestampColumn: 'at' }],
  [`CREATE TABLE typed (id bigint PRIMARY KEY, at varchar(20) NOT NULL)`, { table: 'typed', timestampColumn: 'at' }],
  [`CREATE TABLE unknown_column (id bigint PRIMARY KEY, ${stamp})`, { table: 'unknown_column', timestampColumn: 'changed_at' }],
  [`CREATE TABLE loose (id varchar(20) CHARACTER SET latin1 PRIMARY KEY, ${stamp})`, { table: 'loose', mode: 'timestamp' }],
  [`CREATE TABLE listed (id enum('a', 'b') PRIMARY KEY, ${stamp})`, { table: 'listed', mode: 'timestamp' }],
  [`CREATE TABLE drawn (id bigint PRIMARY KEY)`, { table: 'drawn', mode: 'incrementing' }],
  [`CREATE TABLE shaped (id bigint PRIMARY KEY, place geometry, ${stamp})`, { table: 'shaped' }],
  [`CREATE TABLE swept (id bigint PRIMARY KEY, ${stamp})`, { table: 'swept', excludeColumns: ['id', 'nothing'], mask: { none: 'null' } }],
  [`CREATE TABLE zeros (id bigint PRIMARY KEY, day date NOT NULL DEFAULT '0000-00-00', ${stamp})`, { table: 'zeros' }],
  [`CREATE VIEW seen AS SELECT * FROM fit`, { table: 'seen', mode: 'incrementing' }],
  [`CREATE VIEW timed AS SELECT * FROM fit`, { table: 'timed', mode: 'timestamp' }],
  ['', { table: 'nowhere' }],
  ['', { table: 'asked', query: 'SELECT * FROM nothing_at_all', key: ['id'] }],
  [`CREATE TABLE m_x (id bigint PRIMARY KEY, ${stamp})`, { table: 'm_x' }],
]; // prettier-ignore

suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('tables of every kind: what poller start refuses, doctor finds with the same code and remedy, and it calls nothing else an error', async () => {
    const tables = [...mariadbKinds.map(([, entry]) => entry), { table: 'mysql.user' }];
    const sql = [...mariadbKinds.map(([statement]) => statement).filter((statement) => statement !== ''), 'CREATE TABLE `m x` LIKE m_x'];
    await using made = await createMariadbScene(sql, { sharing: 'takeover', pollIntervalMs: 5000, tables });
    const { poller } = made.config;
    assert.ok(poller);
    // It would share its topic, which the scene would make.
    const clash = poller.tables.flatMap((one) => (one.table.endsWith('.m_x') ? [{ ...one, table: `${made.database}.m x` }] : []));
    const met = await assertOneJudge({ ...made.config, poller: { ...poller, tables: [...poller.tables, ...clash] } });
    for (const code of ['TABLE_UNKNOWN', 'KEY_UNFIT', 'COLUMN_UNKNOWN', 'COLUMN_NULLABLE', 'COLUMN_TYPE_UNFIT', 'QUERY_INVALID', 'SELECT_MISSING', 'TOPIC_UNFIT'])
      assert.ok(met.has(code), code); // prettier-ignore
  });

  test('an account without any right in the database: doctor says the missing grant as the poller does, and with it the poller starts', async () => {
    await using made = await createMariadbScene([`CREATE TABLE t (id bigint PRIMARY KEY, ${stamp})`], {
      sharing: 'takeover',
      tables: [{ table: 't' }],
    });
    const { database, config } = made;
    await made.asRoot(`REVOKE SELECT ON ${database}.* FROM ${config.legacyDb.roles.poller.user}`);
    const [found] = (await refusalsByDoctor(config)).values();
    const refused = await refusalsByStart(config).then(
      () => assert.fail('it started'),
      (error: unknown) => error,
    );
    assert.ok(refused instanceof Error && 'code' in refused && 'remedy' in refused);
    assert.equal(found?.code, refused.code);
    assert.equal(found?.remedy, refused.remedy);
    const [grant = ''] = String(refused.remedy).split('\n');
    assert.equal(grant, `GRANT SELECT ON \`${database.replaceAll('_', String.raw`\_`)}\`.* TO 'cdc_poller'@'%';`);
    await made.asRoot(grant);
    assert.deepEqual([...(await refusalsByDoctor(config))], []);
    assert.deepEqual([...(await refusalsByStart(config))], []);
  });
});
