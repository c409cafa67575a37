import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readCatalog } from '#cdc-poller/postgres/catalog.ts';
import { openSourceSession } from '#cdc-poller/postgres/session.ts';
import { pipelineSchema } from '#pipeline/index.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';

const tables = 12;
/** As long as a server goes on planning for the values at hand, before it compares. */
const plansFirst = 5;
let database: LegacyDatabase;

before(async () => {
  database = await createLegacyDatabase({ empty: true });
  for (let index = 0; index < tables; index += 1) {
    await database.query(`
      CREATE TABLE t_${index} (id bigserial PRIMARY KEY, value text, tags text[], updated_at timestamptz NOT NULL);
      CREATE INDEX ON t_${index} (updated_at, id); GRANT SELECT ON t_${index} TO cdc_poller`);
  }
});

after(() => database[Symbol.asyncDispose]());

test('what is asked of each table is planned a few times, not for each table; and no look at a table reads all of pg_type', async () => {
  const { legacyDb } = pipelineSchema.parse({ legacyDb: database.config, kafka: { brokers: 'none:1' } });
  await using session = await openSourceSession(legacyDb, 'test catalog-plans', 60_000);
  await session.query('BEGIN');
  for (let index = 0; index < tables; index += 1) {
    const catalog = await readCatalog(session, { table: `public.t_${index}`, incrementingColumn: 'id' });
    assert.deepEqual(
      catalog.columns.map(({ name, type }) => [name, type.name]),
      [
        ['id', 'int8'],
        ['value', 'text'],
        ['tags', 'text'],
        ['updated_at', 'timestamptz'],
      ],
    );
  }
  const [[scans] = []] = await session.query("SELECT seq_scan FROM pg_stat_xact_sys_tables WHERE relname = 'pg_type'");
  assert.equal(scans, '0', 'scans of pg_type, which has two rows for each table of the database');
  const plans = await session.query('SELECT custom_plans, generic_plans, statement FROM pg_prepared_statements');
  assert.equal(plans.length, 6);
  for (const [custom, generic] of plans) assert.equal(Number(custom) + Number(generic), tables);
  // The one that takes longest to plan.
  const longest = plans.find(([, , statement]) => statement?.includes('attcollation'));
  assert.deepEqual(longest?.slice(0, 2), [String(plansFirst), String(tables - plansFirst)]);
  await session.query('COMMIT');
});
