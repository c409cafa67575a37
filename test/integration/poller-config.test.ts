import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runPoller } from '#cdc-poller/index.ts';
import { CdcError, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { uniqueName } from '#test/support/stack.ts';

async function refusal(config: PipelineConfig): Promise<CdcError> {
  try {
    await runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(60_000), once: true });
  } catch (error) {
    if (error instanceof CdcError) return error;
    throw error;
  }
  assert.fail('the poller started');
}

test('what cannot be polled is refused at start, all of it at once, with table, column and remedy', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE good (id bigserial PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE nullable (id bigserial PRIMARY KEY, updated_at timestamptz);
    CREATE TABLE wrong (id jsonb PRIMARY KEY, updated_at text NOT NULL);
    CREATE TABLE other (number bigserial PRIMARY KEY, changed timestamptz NOT NULL);
    CREATE TABLE secret (id bigserial PRIMARY KEY, updated_at timestamptz NOT NULL);
    GRANT SELECT ON good, nullable, wrong, other TO cdc_poller;`);
  const config = await testPipelineConfig(database, {
    name: uniqueName('config'),
    tables: ['good', 'goods', 'nullable', 'wrong', 'other', 'secret'].map((table) => ({ table: `public.${table}` })),
  });
  const error = await refusal(config);
  assert.equal(error.code, 'TABLES_UNFIT');
  const lines = error.message.split('\n');
  const line = (about: string): string =>
    lines.find((text) => text.includes(about)) ?? assert.fail(`nothing about ${about} in:\n${error.message}`);
  assert.match(line('public.goods'), /does not exist.*Did you mean public\.good\?/);
  assert.match(line('public.nullable.updated_at'), /null.*mode bulk/);
  assert.match(line('public.wrong.updated_at'), /type text.*timestamptz/);
  assert.match(line('public.wrong.id'), /type jsonb.*int8/);
  assert.match(line('no column updated_at'), /public\.other.*Set timestampColumn to one of changed/);
  assert.match(line('no column id'), /Set incrementingColumn to one of number/);
  assert.match(line('public.secret'), /GRANT SELECT ON public\.secret TO cdc_poller/);
  assert.equal(lines.length, 7, error.message);
});

test('a database that is not there, and a role that may not enter, are named without the password', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  const config = await testPipelineConfig(database, { name: uniqueName('config'), tables: [{ table: 'public.good' }] });
  const { legacyDb } = config;
  const missing = await refusal({ ...config, legacyDb: { ...legacyDb, database: 'no_such_database' } });
  assert.equal(missing.code, 'LEGACY_DB_MISSING');
  assert.match(missing.message, /no_such_database.*cdc_poller/);
  const stranger = await refusal({
    ...config,
    legacyDb: { ...legacyDb, roles: { ...legacyDb.roles, poller: { user: 'stranger', password: 'hunter2' } } },
  });
  assert.equal(stranger.code, 'LEGACY_LOGIN_REFUSED');
  assert.doesNotMatch(JSON.stringify(stranger) + stranger.message, /hunter2/);
  const unset = await refusal({
    ...config,
    legacyDb: { ...legacyDb, roles: { ...legacyDb.roles, poller: { ...legacyDb.roles.poller, password: '' } } },
  });
  assert.equal(unset.code, 'LEGACY_LOGIN_REFUSED');
  assert.match(unset.message, /asks role cdc_poller for a password, and none is set/);
  const down = await refusal({ ...config, legacyDb: { ...legacyDb, port: 1 } });
  assert.equal(down.code, 'LEGACY_DB_UNREACHABLE');
  assert.match(down.message, /:1\//);
});

test('the poller needs SELECT and nothing else, and leaves nothing in the legacy database', async () => {
  await using database = await createLegacyDatabase();
  const objects = () =>
    database.query(
      // Slots are the server's: other tests make and drop theirs meanwhile.
      `SELECT count(*) AS n FROM pg_class UNION ALL SELECT count(*) FROM pg_proc
       UNION ALL SELECT count(*) FROM pg_replication_slots WHERE database = current_database()`,
    );
  const before = await objects();
  const config = await testPipelineConfig(database, {
    name: uniqueName('least'),
    tables: [{ table: 'public.orders' }, { table: 'public.customers' }],
  });
  await runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });
  assert.deepEqual(await objects(), before);
});
