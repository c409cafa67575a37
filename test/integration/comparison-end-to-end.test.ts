import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparisonFromConfig, renderTerminal, runComparison, type ComparisonReport } from '#comparison/index.ts';
import { runWorkload, seed } from '#legacy-db/index.ts';
import { pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { migrate, startReadModel } from '#read-model/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

const tables = ['customers', 'products', 'orders', 'order_items'] as const;

test('a workload under poller, Debezium and two read models: the log loses nothing, polling loses deletes and states, both named', async (t) => {
  await using database = await createLegacyDatabase({ ledger: true });
  await using read = await createReadDatabase();
  await seed(database.owner, { customers: 40, products: 20, orders: 60, seed: 1 });
  await using connector = await startTestConnector({ database });
  await connector.streaming();
  const poller = uniqueName('poller');
  const config = pipelineSchema.parse({
    legacyDb: database.config,
    kafka: await testKafkaConfig(),
    poller: { name: poller, topicPrefix: poller, pollIntervalMs: 100, tables: tables.map((table) => ({ table: `public.${table}` })) },
    connect: { topicPrefix: connector.prefix },
    readModel: {
      ...read.config,
      models: {
        query_model: { topicPrefix: poller, groupId: `${poller}-query` },
        log_model: { topicPrefix: connector.prefix, groupId: `${poller}-log` },
      },
    },
  });
  for (const schema of ['query_model', 'log_model']) await migrate(read.owner, { schema });
  const kafka = await testKafka();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    await using admin = await kafka.admin();
    const topics = await admin.listTopics();
    await admin.deleteTopics(topics.filter((topic) => topic.startsWith(`${poller}.`) || topic.startsWith(`cdc-poller.${poller}.`)));
  });
  await using running = startTestPoller(config);
  await using models = await startReadModel({ config, logger: silentLogger, signal: t.signal });
  // What stops a part is the failure to report, not the time that the others then wait for it.
  const broken = new AbortController();
  for (const ended of [running.ended, models.closed]) ended.catch((error: unknown) => broken.abort(error));

  const report = await runComparison({ ...comparisonFromConfig(config, silentLogger), signal: AbortSignal.any([t.signal, broken.signal]) }, () =>
    runWorkload({ application: database.application, seconds: 6, rate: 40, seed: 7, writers: 4, signal: t.signal }),
  );
  if (process.env['SHOW_REPORT'] !== undefined) process.stdout.write(`${renderTerminal(report)}\n`);

  assert.deepEqual(
    Object.fromEntries(report.claims.map(({ id, outcome }) => [id, outcome])),
    {
      setup: 'only-query',
      privileges: 'only-query',
      columns: 'inconclusive',
      load: 'inconclusive',
      deletes: 'only-log',
      states: 'only-log',
      'before-images': 'only-log',
      'final-rows': 'both',
      'order-view': 'only-log',
      once: 'both',
      order: 'both',
      latency: 'both',
    },
    JSON.stringify(report.claims, null, 2),
  );
  const { log, query } = report.strategies;
  assert.ok(log.events.measured && query.events.measured);
  for (const table of tables) {
    const seen = log.events.value[`public.${table}`] ?? assert.fail(table);
    assert.deepEqual(
      [seen.states.lost, seen.deletes.lost, seen.duplicates, seen.unexplained, seen.withinTransactions.made - seen.withinTransactions.seen],
      [none, none, none, none, 0],
      `${table} by the log`,
    );
    assert.deepEqual(query.events.value[`public.${table}`]?.unexplained, none, `${table} by queries`);
  }
  for (const { latency } of [log, query]) assert.deepEqual([latency.withoutCommitTime, latency.withoutBatch], [0, 0]);
  const orders = query.state.tables['public.orders'];
  assert.ok(orders?.measured);
  assert.deepEqual(orders.value.ghost.keys, await ghostOrders(database, report));
});

const none = { count: 0, keys: [] };

/** Orders that the ledger says were deleted after the poller could see them: what the report must list, first keys first. */
async function ghostOrders(database: Awaited<ReturnType<typeof createLegacyDatabase>>, report: ComparisonReport): Promise<readonly string[]> {
  const { events } = report.strategies.query;
  assert.ok(events.measured);
  const rows = await database.query(
    `SELECT DISTINCT (key ->> 'id')::bigint AS id FROM ledger.changes
      WHERE table_name = 'orders' AND op = 'd' ORDER BY 1`,
  );
  // An order that was placed and cancelled between two polls never reached the poller's model.
  const neverSeen = new Set(events.value['public.orders']?.states.lost.keys);
  return rows.map(({ id }) => id ?? '').filter((id) => !neverSeen.has(id)).slice(0, 20);
}
