import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableEvents } from '#comparison/events/count.ts';
import { comparisonFromConfig, renderTerminal, runComparison, type ComparisonReport } from '#comparison/index.ts';
import { runWorkload, seed } from '#legacy-db/index.ts';
import { pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { migrate, startReadModel } from '#read-model/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase, type ReadDatabase } from '#test/support/read-database.ts';
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

  const input = {
    ...comparisonFromConfig(config, silentLogger),
    signal: AbortSignal.any([t.signal, broken.signal]),
    // This machine is busy with other tests: whether it is quick is not the question here.
    latencyLimitMs: 60_000,
  };
  const report = await runComparison(input, () =>
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
  for (const table of tables) {
    const { states, deletes, duplicates, unexplained, withinTransactions } = eventsOf(report, 'log', table);
    assert.deepEqual(
      { lost: states.lost, deletes: deletes.lost, duplicates, unexplained },
      { lost: none, deletes: none, duplicates: none, unexplained: none },
    );
    assert.equal(withinTransactions.seen, withinTransactions.made);
    assert.deepEqual(eventsOf(report, 'query', table).unexplained, none);
  }
  const { log, query } = report.strategies;
  for (const { latency } of [log, query]) assert.deepEqual([latency.withoutCommitTime, latency.withoutBatch], [0, 0]);
  const orders = query.state.tables['public.orders'];
  assert.ok(orders?.measured && orders.value.ghost.count > 0);
  const ghosts = await ghostOrders(database, read);
  assert.deepEqual(orders.value.ghost, { count: ghosts.length, keys: ghosts.slice(0, 20) });
});

const none = { count: 0, keys: [] };

function eventsOf(report: ComparisonReport, strategy: 'log' | 'query', table: string): TableEvents {
  const { events } = report.strategies[strategy];
  assert.ok(events.measured);
  return events.value[`public.${table}`] ?? assert.fail(`no figures of ${table}`);
}

/** By two plain queries and a set: what the report's merge must find. */
async function ghostOrders(database: LegacyDatabase, read: ReadDatabase): Promise<readonly string[]> {
  const inSource = new Set((await database.query('SELECT id FROM orders')).map(({ id }) => id));
  const inModel = await read.query('SELECT id FROM query_model.orders ORDER BY orders.id');
  return inModel.map(({ id }) => id ?? '').filter((id) => !inSource.has(id));
}
