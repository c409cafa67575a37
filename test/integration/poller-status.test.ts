import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { pollerCommand } from '#cdc-poller/commands.ts';
import type { PipelineConfig } from '#pipeline/index.ts';
import { terminal } from '#test/support/terminal.ts';
import { startTestPoller, untilStatus } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

const status = (config: PipelineConfig, ...args: string[]) => terminal(pollerCommand, config).run('status', ...args);

test('status: not started, live with figures, stuck with exit code 1, and positions alone when no process answers', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE shown (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON shown (updated_at, id);
    INSERT INTO shown (value) SELECT 'loaded' FROM generate_series(1, 37);
    GRANT SELECT ON shown TO cdc_poller;`);
  const name = uniqueName('status');
  const port = await getPort();
  const tables = [{ table: 'public.shown' }];
  const config = await testPipelineConfig(database, { name, pollIntervalMs: 50, stuckAfterMs: 500, http: { port }, tables });
  assert.match((await status(config)).printed, /public\.shown +│ not started/);
  {
    await using poller = startTestPoller(config);
    await pollerEndpoint(port, name).until('public.shown', ({ rowsPublished }) => rowsPublished === 37);
    // A repair waits for transactions that other tests have open.
    await untilStatus(config, ({ phase, repairPending }) => phase === 'polling' && !repairPending);
    // On a busy machine a poll may take longer than stuckAfterMs, for once: status then ends with 1.
    const live = await eventually(
      () => status(config),
      ({ exitCode }) => exitCode === 0,
    );
    assert.match(live.printed, /public\.shown +│ polling +│ \S+Z +│ 37 +│ \d+\.\d s/);
    const [row] = JSON.parse((await status(config, '--json')).printed);
    assert.equal(row.table, 'public.shown');
    assert.equal(row.live.rowsPublished, 37);
    assert.equal(row.phase, 'polling');
    await database.query('REVOKE SELECT ON shown FROM cdc_poller; INSERT INTO shown (value) VALUES (NULL)');
    await pollerEndpoint(port, name).until('public.shown', ({ stuck }) => stuck);
    const stuck = await status(config, '--url', `http://127.0.0.1:${port}`);
    assert.equal(stuck.exitCode, 1);
    assert.match(stuck.printed, /STUCK.*last /);
    await poller.stop().catch(() => undefined);
  }
  const gone = await status(config);
  assert.match(gone.printed, /public\.shown +│ polling +│ \d+/);
  assert.match(gone.printed, /no running process answered/);
  assert.equal(gone.exitCode, 0);
});
