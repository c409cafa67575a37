import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { testKafka } from '#test/support/kafka.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { pollerEndpoint } from '#test/support/poller-http.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { uniqueName } from '#test/support/stack.ts';

/** The figures of docs/operations.md: TEST_NIGHTLY=1 measures them (about a minute), and prints them. */
const skip = process.env['TEST_NIGHTLY'] === undefined ? 'measures for a minute: set TEST_NIGHTLY=1' : false;

type Figures = { readonly queriesPerMinute: number; readonly p50: number; readonly p99: number };

/** Updates at a pace, each followed from its commit to its arrival at a consumer; the poller's queries are counted meanwhile. */
async function measure(database: LegacyDatabase, settings: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, Figures>>> {
  const name = uniqueName('figures');
  const port = await getPort();
  const config = await testPipelineConfig(database, { name, ...settings, http: { port }, tables: [{ table: 'public.measured' }] });
  const endpoint = pollerEndpoint(port, name);
  const kafka = await testKafka();
  await using poller = startTestPoller(config);
  await endpoint.until('public.measured', ({ polls }) => polls > 0);
  const arrived = new Map<string, number>();
  await using cleanup = new AsyncDisposableStack();
  const consumer = await kafka.consumer({
    groupId: uniqueName('figures'),
    topics: [`${name}.public.measured`],
    maxWaitMs: 5,
    onBatch: async ({ messages }) => {
      for (const { value } of messages) arrived.set(/"value":"(\w+)"/.exec(String(value))?.[1] ?? '', performance.now());
    },
  });
  cleanup.use(consumer);
  const run = async (updates: number, pauseMs: number): Promise<Figures> => {
    const committed = new Map<string, number>();
    const startedAt = performance.now();
    const before = (await endpoint.table('public.measured')).queries;
    for (let update = 0; update < updates; update += 1) {
      const mark = uniqueName('v');
      // Keys in turn, so that no update hides the one before it.
      await database.query('UPDATE measured SET value = $1, updated_at = clock_timestamp() WHERE id = $2', [mark, 1 + (update % 500)]);
      committed.set(mark, performance.now());
      await delay(startedAt + (update + 1) * pauseMs - performance.now() + Math.random() * 10);
    }
    const queries = (await endpoint.table('public.measured')).queries - before;
    const minutes = (performance.now() - startedAt) / 60_000;
    await delay(1500);
    const latencies = [...committed]
      .map(([mark, at]) => (arrived.get(mark) ?? assert.fail(`${mark} never came`)) - at)
      .toSorted((x, y) => x - y);
    const at = (share: number): number => Math.round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0);
    return { queriesPerMinute: Math.round(queries / minutes), p50: at(0.5), p99: at(0.99) };
  };
  const busy = await run(500, 20);
  const { queries } = await endpoint.until('public.measured', ({ intervalMs }) => intervalMs === (settings['maxIntervalMs'] ?? 100));
  await delay(5000);
  const idle = ((await endpoint.table('public.measured')).queries - queries) * 12;
  const rare = await run(10, 1300);
  await poller.stop();
  return { 'at rest': { queriesPerMinute: idle, p50: 0, p99: 0 }, 'an update every 1.3 s': rare, '50 updates/s': busy };
}

test('latency and queries per minute of a fixed and of an adaptive interval', { skip }, async (context: TestContext) => {
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`
    CREATE TABLE measured (id bigserial PRIMARY KEY, value text, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON measured (updated_at, id);
    INSERT INTO measured (value) SELECT 'loaded' FROM generate_series(1, 500);
    GRANT SELECT ON measured TO cdc_poller;`);
  const fixed = await measure(database, { pollIntervalMs: 100 });
  const adaptive = await measure(database, { minIntervalMs: 20, maxIntervalMs: 1000 });
  context.diagnostic(JSON.stringify({ fixed, adaptive }, null, 2));
  for (const pace of ['an update every 1.3 s', '50 updates/s'] as const) {
    assert.ok((fixed[pace]?.p99 ?? Infinity) < 1000, JSON.stringify(fixed));
  }
  assert.ok((adaptive['at rest']?.queriesPerMinute ?? Infinity) < (fixed['at rest']?.queriesPerMinute ?? 0) / 4);
});
