import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { dialectOf } from '#cdc-poller/dialects.ts';
import { discoverTables } from '#cdc-poller/source/table/table-discovery.ts';
import { formatTableId } from '#change-events/index.ts';
import { polledTables } from '#doctor/polled-tables.ts';
import { openDoctorSession } from '#doctor/postgres/probe/session.ts';
import { readTableNames } from '#doctor/postgres/probe/tables.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import { isTablePattern, postgresClientConfig, type PollerTableConfig } from '#pipeline/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';

/** Names that mean something in a glob, in a regular expression or in SQL, and names beside them that a careless reading would take for them. */
const schemas = ['public', 'Sales', 'a b'];
const names = [
  'dot.ted',
  'what?',
  'a*',
  '"q"',
  'orders',
  'orders_2',
  'Orders',
  'a+b',
  'aab',
  'a b',
  'log_1',
  '(x)',
  '[a]',
  'a',
  'äöü',
  String.raw`a\b`,
  "it's",
  'a"b',
];

const columns = 'id bigserial PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now()';
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const part = (of: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom(...of),
    // A name with some of its characters in wildcards' place.
    fc
      .tuple(fc.constantFrom(...of), fc.array(fc.tuple(fc.nat({ max: 12 }), fc.constantFrom('*', '?', '**')), { maxLength: 3 }))
      .map(([name, holes]) => name.replaceAll(/./gu, (letter, index) => holes.find(([at]) => at === index)?.[1] ?? letter)),
    fc.constantFrom('*', '?', '*s', 'o*', '[a]*', 'a?b', '.*'),
  );
// Broad ones too, so that entries meet.
const pattern = fc.oneof(
  fc.tuple(part(schemas), part(names)).map(([schema, name]) => `${schema}.${name}`),
  fc.tuple(fc.constantFrom(...schemas), fc.constantFrom(...names)).map(([schema, table]) => formatTableId({ schema, table })),
  fc.constantFrom('public.*', '*.*', '*.order*', 'Sales.*', '*.?'),
);
const entry = fc.record({ table: pattern, exclude: fc.array(pattern, { maxLength: 2 }) });

/** As pipeline.yaml would be read; null for what it refuses. */
function parsed({ table, exclude }: { readonly table: string; readonly exclude: readonly string[] }): PollerTableConfig | null {
  const result = pollerTableSchema.safeParse(isTablePattern(table) && exclude.length > 0 ? { table, exclude } : { table });
  return result.success ? result.data : null;
}

test('poller and doctor take the same tables by the same entries, whatever names and patterns there are', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  for (const schema of schemas) {
    await database.query(`CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}; GRANT USAGE ON SCHEMA ${quoted(schema)} TO cdc_poller`);
    for (const name of names) await database.query(`CREATE TABLE ${quoted(schema)}.${quoted(name)} (${columns})`);
    await database.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${quoted(schema)} TO cdc_poller`);
  }
  // What no pattern takes: a view, a partition; and what one takes: a partitioned table.
  await database.query(`
    CREATE VIEW public.seen AS SELECT * FROM public.orders;
    CREATE TABLE public.parted (id bigint PRIMARY KEY, updated_at timestamptz NOT NULL) PARTITION BY RANGE (id);
    CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM (0) TO (10);
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc_poller`);
  const config = await testPipelineConfig(database, { name: 'patterns', tables: [{ table: 'public.*' }] });
  const { legacyDb, poller } = config;
  assert.ok(poller);
  await using session = await dialectOf(legacyDb).openSession(legacyDb, 'patterns', 30_000);
  await using viewer = await openDoctorSession(postgresClientConfig(legacyDb, legacyDb.roles.poller, 'patterns'));
  const listed = await readTableNames(viewer);
  const byPoller = async (tables: readonly PollerTableConfig[]): Promise<readonly string[]> =>
    (await discoverTables(session, { ...poller, tables: [...tables] })).map(({ table, mode }) => `${table} ${mode}`).toSorted();
  const byDoctor = (tables: readonly PollerTableConfig[]): readonly string[] =>
    polledTables(tables, listed)
      // A pattern that matches nothing is listed under its own text, so that it is reported.
      .filter(({ takesNone }) => !takesNone)
      .map(({ id, mode }) => `${formatTableId(id)} ${mode}`)
      .toSorted();
  const all = [parsed({ table: '*.*', exclude: [] })].filter((one) => one !== null);
  assert.equal((await byPoller(all)).length, schemas.length * names.length + 1);
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 3 }), async (entries) => {
      const modes = ['timestamp', 'timestamp+incrementing'] as const;
      const tables = entries.map(parsed).flatMap((one, index) => (one === null ? [] : [{ ...one, mode: modes[index % 2] ?? modes[0] }]));
      assert.deepEqual(byDoctor(tables), await byPoller(tables));
    }),
    { numRuns: 25 },
  );
});
