import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import { Client } from 'pg';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

async function createTables(database: LegacyDatabase, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await database.query(`
      CREATE TABLE ${name} (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
      CREATE INDEX ON ${name} (updated_at, id);
      INSERT INTO ${name} (value) SELECT 'loaded' FROM generate_series(1, 100);
      GRANT SELECT ON ${name} TO cdc_poller;`);
  }
}

test('metrics, liveness and readiness of a running poller; a table that fails leaves the other and makes it unready until it is fixed', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await createTables(database, ['good', 'bad']);
  const name = uniqueName('metrics');
  const port = await getPort();
  const config = await testPipelineConfig(database, {
    name,
    pollIntervalMs: 50,
    stuckAfterMs: 700,
    http: { port },
    tables: [{ table: 'public.good' }, { table: 'public.bad' }],
  });
  const endpoint = pollerEndpoint(port, name);
  await using poller = startTestPoller(config);
  const bothLoaded = ['public.good', 'public.bad'].map((table) => endpoint.until(table, ({ rowsPublished }) => rowsPublished === 100));
  await Promise.all(bothLoaded);
  assert.deepEqual((await endpoint.get('/livez')).status, 200);
  // On a busy machine a poll may take longer than stuckAfterMs, for once.
  const ready = await eventually(
    () => endpoint.get('/readyz'),
    ({ status }) => status === 200,
  );
  assert.equal(ready.text, '{"ready":true,"reasons":[]}\n');
  await database.query("INSERT INTO good (value) VALUES ('new')");
  await endpoint.until('public.good', ({ rowsPublished }) => rowsPublished === 101);
  // The lag is below a second, with every poll; but for one that a busy machine holds up.
  const { text } = await eventually(
    () => endpoint.get('/metrics'),
    (metrics) => /^cdc_poller_lag_seconds\{table="public\.good"\} 0\.\d+$/m.test(metrics.text),
  );
  assert.match(text, /^cdc_poller_rows_published_total\{table="public\.good"\} 101$/m);
  assert.match(text, /^cdc_poller_rows_published_total\{table="public\.bad"\} 100$/m);
  assert.match(text, /^cdc_poller_poll_duration_seconds_count\{table="public\.good"\} [1-9]\d*$/m);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);

  await database.query('REVOKE SELECT ON bad FROM cdc_poller');
  await endpoint.until('public.bad', ({ stuck, errors }) => stuck && Object.keys(errors).length > 0);
  const unready = await eventually(
    () => endpoint.get('/readyz'),
    ({ text: reasons }) => !reasons.includes('public.good'),
  );
  assert.equal(unready.status, 503);
  assert.match(unready.text, /table public\.bad/);
  assert.match((await endpoint.get('/metrics')).text, /^cdc_poller_stuck\{table="public\.bad"\} 1$/m);
  await database.query("INSERT INTO good (value) VALUES ('newer'); INSERT INTO bad (value) VALUES ('waits')");
  await endpoint.until('public.good', ({ rowsPublished }) => rowsPublished === 102);
  // Its lag grows for as long as it cannot be read.
  await endpoint.until('public.bad', ({ lagSeconds }) => lagSeconds !== null && lagSeconds > 0.7);
  await database.query('GRANT SELECT ON bad TO cdc_poller');
  await endpoint.until('public.bad', ({ rowsPublished, stuck }) => rowsPublished === 101 && !stuck);
  await eventually(
    () => endpoint.get('/readyz'),
    ({ status }) => status === 200,
  );
  await poller.stop();
});

test('who holds the fence back is named: process, application and, only where permitted, its age', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await createTables(database, ['held']);
  const name = uniqueName('holder');
  const port = await getPort();
  const config = await testPipelineConfig(database, {
    name,
    pollIntervalMs: 50,
    clockMarginMs: 0,
    http: { port },
    tables: [{ table: 'public.held' }],
  });
  const endpoint = pollerEndpoint(port, name);
  await using poller = startTestPoller(config);
  await endpoint.until('public.held', ({ polls }) => polls > 0);
  const client = new Client({ ...database.owner, application_name: 'the old application' });
  await client.connect();
  try {
    await client.query("BEGIN; INSERT INTO held (value) VALUES ('open')");
    // Transactions of other tests may hold it first; who it is is asked every ten seconds.
    const { heldBackBy, fenceLagSeconds } = await endpoint.until(
      'public.held',
      (figures) => figures.heldBackBy?.application === 'the old application',
      90_000,
    );
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    assert.deepEqual(heldBackBy, {
      pid: rows[0]?.pid,
      application: 'the old application',
      user: 'legacy_owner',
      ageSeconds: 'not permitted',
      prepared: null,
    });
    assert.ok(fenceLagSeconds !== null && fenceLagSeconds > 5, `fence lag ${fenceLagSeconds} s`);
    await client.query('COMMIT');
    await endpoint.until('public.held', (figures) => figures.heldBackBy === null && (figures.fenceLagSeconds ?? 9) < 2, 90_000);
  } finally {
    await client.end();
  }
  await poller.stop();
});
