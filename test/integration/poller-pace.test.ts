import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { assertExact } from '#test/support/published.ts';
import { repeat } from '#test/support/repeat.ts';
import { uniqueName } from '#test/support/stack.ts';

async function createTable(database: LegacyDatabase, rows: number): Promise<void> {
  await database.query(`
    CREATE TABLE paced (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON paced (updated_at, id);
    INSERT INTO paced (value) SELECT 'loaded' FROM generate_series(1, ${rows});
    GRANT SELECT ON paced TO cdc_poller;`);
  await database.query('ANALYZE paced');
}

test('a load keeps to the rows per second that are allowed, page by page, and says how much is left', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await createTable(database, 4000);
  const name = uniqueName('paced');
  const port = await getPort();
  const tables = [{ table: 'public.paced' }];
  const config = await testPipelineConfig(database, {
    name,
    pageRows: 100,
    clockMarginMs: 0,
    maxRowsPerSecond: 1000,
    http: { port },
    tables,
  });
  const endpoint = pollerEndpoint(port, name);
  await using poller = startTestPoller(config);
  const { rowsRead: first } = await endpoint.until('public.paced', ({ rowsRead }) => rowsRead > 0);
  assert.ok(first < 2000, `${first} rows when they were first looked at: nothing is left to show`);
  const from = { at: performance.now(), rows: (await endpoint.table('public.paced')).rowsRead };
  let loads = 0;
  for (;;) {
    const { load, rowsRead, phase } = await endpoint.table('public.paced');
    const allowed = performance.now() - from.at + 200;
    assert.ok(rowsRead - from.rows <= allowed, `${rowsRead - from.rows} rows, where ${allowed} were allowed`);
    if (phase !== 'loading') break;
    if (load !== null && load.rowsRead > 0) {
      loads += 1;
      assert.ok(load.rowsRemaining !== null && Math.abs(load.rowsRead + load.rowsRemaining - 4000) < 400, JSON.stringify(load));
      // Of the first rows a page is free.
      if (load.rowsRead > 2000) assert.ok(load.rowsPerSecond < 1200, JSON.stringify(load));
    }
    await delay(100);
  }
  assert.ok(loads > 0, 'the load was never seen');
  await untilPublished(await testKafka(), config, database);
  await assertExact(await testKafka(), database, 'paced', `${name}.public.paced`);
  await poller.stop();
});

test('an adaptive interval asks an idle table ever more seldom, and a busy one at once again', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await createTable(database, 10);
  const name = uniqueName('adaptive');
  const port = await getPort();
  const tables = [{ table: 'public.paced' }];
  const config = await testPipelineConfig(database, { name, minIntervalMs: 10, maxIntervalMs: 500, http: { port }, tables });
  const endpoint = pollerEndpoint(port, name);
  await using poller = startTestPoller(config);
  await endpoint.until('public.paced', ({ intervalMs }) => intervalMs === 500);
  const from = { at: performance.now(), polls: (await endpoint.table('public.paced')).polls };
  await delay(1500);
  const idle = (await endpoint.table('public.paced')).polls - from.polls;
  // Each begins half a second after the one before; the first may have been on its way, and the one before it late.
  const atMost = (performance.now() - from.at) / 500 + 2;
  assert.ok(idle <= atMost, `${idle} polls of an idle table, where ${atMost} were allowed`);
  await using writing = repeat(async () => {
    await database.query("UPDATE paced SET value = 'busy', updated_at = clock_timestamp() WHERE id = 1");
    await delay(5);
  });
  // The shortest, after each poll that found something: so it is again and again.
  const polledAtOnce: number[] = [];
  for (let look = 0; look < 5; look += 1) {
    const last = polledAtOnce.at(-1) ?? 0;
    polledAtOnce.push((await endpoint.until('public.paced', ({ intervalMs, polls }) => intervalMs === 10 && polls > last)).polls);
  }
  await writing.stop();
  await untilPublished(await testKafka(), config, database);
  await poller.stop();
});
