import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import { runPoller } from '#cdc-poller/index.ts';
import { CdcError, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { createPollerScene, valuesOf } from '#test/support/poller-scene.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';

const at = 'updated_at timestamptz NOT NULL DEFAULT now()';

async function refusalOf(config: PipelineConfig): Promise<CdcError | null> {
  try {
    await runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(120_000), once: true });
    return null;
  } catch (error) {
    if (error instanceof CdcError) return error;
    throw error;
  }
}

test('a parent has its own rows alone, each child its own: none is missed, none takes another’s place', async () => {
  await using scene = await createPollerScene(
    `CREATE TABLE inh (id bigint PRIMARY KEY, v text, ${at}); CREATE INDEX ON inh (updated_at, id);
     CREATE TABLE inh_child (extra text, PRIMARY KEY (id)) INHERITS (inh);
     INSERT INTO inh VALUES (1, 'p1'), (2, 'p2'), (3, 'p3'); INSERT INTO inh_child VALUES (1, 'c1'), (2, 'c2'), (3, 'c3')`,
    [{ table: 'public.inh' }, { table: 'public.inh_child' }],
    { pageRows: 3 },
  );
  const refusal = await refusalOf(scene.config);
  assert.equal(refusal?.code, 'TABLE_INHERITED');
  assert.match(refusal?.message ?? '', /public\.inh_child inherits from public\.inh/);
  const { poller } = scene.config;
  assert.ok(poller);
  const config = { ...scene.config, poller: { ...poller, tables: poller.tables.map((table) => ({ ...table, only: true })) } };
  assert.equal(await refusalOf(config), null);
  const rows = async (table: string): Promise<readonly string[]> => valuesOf(await scene.published(table), 'v').toSorted();
  assert.deepEqual(await rows('inh'), ['p1', 'p2', 'p3']);
  assert.deepEqual(await rows('inh_child'), ['c1', 'c2', 'c3']);
});

test('tables that cannot be polled wait alone: the others are polled, readiness and status say so, and one that is fixed goes on', async () => {
  const port = await getPort();
  await using scene = await createPollerScene(
    `CREATE TABLE good (id bigint PRIMARY KEY, ${at}); CREATE TABLE secret (id bigint PRIMARY KEY, ${at});
     CREATE TABLE hidden (id bigint PRIMARY KEY, ${at}); INSERT INTO good VALUES (1); INSERT INTO secret VALUES (2); INSERT INTO hidden VALUES (3)`,
    [{ table: 'public.good' }, { table: 'public.secret' }, { table: 'public.hidden' }, { table: 'public.missing' }],
    { http: { port } },
  );
  await scene.query('REVOKE SELECT ON secret FROM cdc_poller; ALTER TABLE hidden ENABLE ROW LEVEL SECURITY');
  const error = await refusalOf(scene.config);
  assert.equal(error?.code, 'TABLES_UNFIT', 'with --once the exit code says so');
  for (const text of ['public.secret', 'public.hidden', 'public.missing']) assert.ok(error?.message.includes(text), text);
  assert.equal((await scene.published('good')).length, 1);
  await using poller = startTestPoller(scene.config);
  await scene.query('INSERT INTO good VALUES (11)');
  await scene.until('good', (events) => events.length === 2, 'the good table is polled');
  const endpoint = pollerEndpoint(port, scene.name);
  for (const [table, code] of [
    ['secret', 'SELECT_MISSING'],
    ['hidden', 'ROW_SECURITY'],
    ['missing', 'TABLE_UNKNOWN'],
  ] as const) {
    const { stuck } = await endpoint.until(`public.${table}`, ({ lastError }) => lastError?.code === code);
    assert.ok(stuck, `${table}: no time of patience for what never was fit`);
  }
  const { status, text } = await endpoint.get('/readyz');
  assert.equal(status, 503);
  assert.match(text, /public\.secret.*SELECT_MISSING/);
  await scene.query(`GRANT SELECT ON secret TO cdc_poller; CREATE POLICY cdc_read ON hidden FOR SELECT TO cdc_poller USING (true);
    CREATE TABLE missing (id bigint PRIMARY KEY, ${at}); INSERT INTO missing VALUES (4)`);
  for (const table of ['secret', 'hidden', 'missing']) await scene.until(table, (events) => events.length === 1, `${table} was fixed`);
  await poller.stop();
});

test('a policy that is switched on while the poller runs is noticed, and a child that comes to inherit: the table waits, and nothing is lost', async () => {
  const port = await getPort();
  await using scene = await createPollerScene(
    `CREATE TABLE tenants (id bigint PRIMARY KEY, ${at}); CREATE TABLE parents (id bigint PRIMARY KEY, ${at});
     CREATE TABLE heirs (id bigint PRIMARY KEY, ${at}); INSERT INTO tenants VALUES (1); INSERT INTO parents VALUES (1); INSERT INTO heirs VALUES (1)`,
    [{ table: 'public.tenants', sweep: { intervalMs: 100 } }, { table: 'public.parents' }],
    { http: { port } },
  );
  await using poller = startTestPoller(scene.config);
  const endpoint = pollerEndpoint(port, scene.name);
  for (const table of ['tenants', 'parents']) await scene.until(table, (events) => events.length === 1, `${table} is loaded`);
  await scene.query('ALTER TABLE tenants ENABLE ROW LEVEL SECURITY; ALTER TABLE heirs INHERIT parents');
  await endpoint.until('public.tenants', ({ lastError }) => lastError?.code === 'ROW_SECURITY');
  await endpoint.until('public.parents', ({ lastError }) => lastError?.code === 'TABLE_INHERITED');
  await scene.query('INSERT INTO tenants VALUES (2); INSERT INTO parents VALUES (2)');
  await scene.query('CREATE POLICY all_rows ON tenants USING (true); ALTER TABLE heirs NO INHERIT parents');
  for (const table of ['tenants', 'parents']) {
    const events = await scene.until(table, ({ length }) => length === 2, `${table} goes on`);
    assert.deepEqual(events.map(({ key }) => key).toSorted(), ['{"id":1}', '{"id":2}'], table);
  }
  await poller.stop();
});
