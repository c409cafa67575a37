import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import type { TableEvents } from '#comparison/events/count.ts';
import { comparisonFromConfig, renderTerminal, runComparison, type ComparisonReport, type Strategy } from '#comparison/index.ts';
import { runWorkload, seed } from '#legacy-db/index.ts';
import { silentLogger, sweepPollerConfig } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { bothStrategiesConfig } from '#test/support/both-strategies.ts';
import { startTestConnector } from '#test/support/connect.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { deleteTopicsOf, testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { startTestPoller, untilPublished } from '#test/support/poller.ts';
import { createReadDatabase, type ReadDatabase } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

const tables = ['customers', 'products', 'orders', 'order_items'] as const;

test('a workload under poller, key sweep and Debezium: the log loses nothing, polling loses deletes and states, the sweep finds the deletes, all named', async (t) => {
  await using database = await createLegacyDatabase({ ledger: true });
  await using read = await createReadDatabase();
  await seed(database.owner, { customers: 40, products: 20, orders: 60, seed: 1 });
  await using connector = await startTestConnector({ database });
  await connector.streaming();
  const poller = uniqueName('poller');
  const kafka = await testKafka();
  const [port, sweepPort] = [await getPort({ host: '127.0.0.1' }), await getPort({ host: '127.0.0.1' })];
  const config = bothStrategiesConfig({
    database,
    read,
    kafka: await testKafkaConfig(),
    name: poller,
    connectorPrefix: connector.prefix,
    poller: { http: { port } },
    sweep: { sweep: { intervalMs: 500 }, http: { port: sweepPort } },
  });
  for (const schema of Object.keys(config.readModel?.models ?? {})) await migrateOrders(read.owner, schema);
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => deleteTopicsOf(poller, `${poller}-sweep`));
  await using running = startTestPoller(config);
  const sweepConfig = sweepPollerConfig(config);
  await using sweeping = startTestPoller(sweepConfig);
  await using models = await startReadModel({ config, logger: silentLogger, signal: t.signal });
  // What stops a part is the failure to report, not the time that the others then wait for it.
  const broken = new AbortController();
  for (const ended of [running.ended, sweeping.ended, models.closed]) ended.catch((error: unknown) => broken.abort(error));
  // A comparison needs the topics, and a poller makes each as it begins its table.
  await Promise.all([config, sweepConfig].map((of) => untilPublished(kafka, of, database)));

  const input = {
    ...comparisonFromConfig(config, silentLogger),
    signal: AbortSignal.any([t.signal, broken.signal]),
    // This machine is busy with other tests: whether it is quick is not the question here.
    latencyLimitMs: 60_000,
    catchUpTimeoutMs: 120_000,
  };
  const report = await runComparison(input, async () => {
    const statistics = await runWorkload({
      application: database.application,
      seconds: 6,
      rate: 40,
      seed: 7,
      writers: 4,
      signal: t.signal,
    });
    // Between two polls: nobody but the log sees them come and go.
    for (let times = 0; times < 5; times += 1)
      await database.query(
        "BEGIN; INSERT INTO customers (email, name) VALUES ('flash', 'F'); COMMIT; DELETE FROM customers WHERE email = 'flash'",
      );
    return statistics;
  });
  if (process.env['SHOW_REPORT'] !== undefined) process.stdout.write(`${renderTerminal(report)}\n`);

  assert.deepEqual(
    Object.fromEntries(report.claims.map(({ id, outcome }) => [id, outcome])),
    {
      setup: 'query+sweep',
      privileges: 'query+sweep',
      columns: 'inconclusive',
      load: 'inconclusive',
      deletes: 'only-log',
      ghosts: 'log+sweep',
      states: 'only-log',
      'before-images': 'only-log',
      'final-rows': 'all',
      'order-view': 'log+sweep',
      once: 'all',
      order: 'all',
      latency: 'all',
      'delete-latency': deletesSeen(report) < 0.95 ? 'only-log' : 'log+sweep',
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
    assert.equal(eventsOf(report, 'query', table).deletes.seen, 0, 'plain polling sees no delete');
    const swept = eventsOf(report, 'sweep', table);
    assert.deepEqual([swept.unexplained, swept.duplicates], [none, none]);
    assert.deepEqual(swept.deletes.lost, swept.deletes.ofUnseen, 'the sweep misses only what no poll ever saw');
  }
  assert.ok(eventsOf(report, 'sweep', 'orders').deletes.seen > 0);
  assert.ok(eventsOf(report, 'sweep', 'customers').deletes.ofUnseen.count > 0);
  assert.ok(eventsOf(report, 'sweep', 'orders').states.lost.count > 0, 'a sweep brings no overwritten state back');

  const { log, query, sweep } = report.strategies;
  assert.ok(sweep !== null);
  for (const { latency } of [log, query, sweep]) assert.deepEqual([latency.withoutCommitTime, latency.withoutBatch], [0, 0]);
  assert.ok(log.latency.deletesToReadModel.measured && sweep.latency.deletesToReadModel.measured);
  assert.ok(!query.latency.deletesToReadModel.measured);
  const orders = query.state.tables['public.orders'];
  assert.ok(orders?.measured && orders.value.ghost.count > 0);
  const ghosts = await ghostOrders(database, read);
  assert.deepEqual(orders.value.ghost, { count: ghosts.length, keys: ghosts.slice(0, 20) });

  assert.ok(log.cost.measured && query.cost.measured && sweep.cost.measured);
  const [asked, sweptToo] = [query.cost.value, sweep.cost.value];
  for (const cost of [log.cost.value, asked, sweptToo]) assert.ok(cost.processorMsPerMinute.measured);
  assert.ok(log.cost.value.walKeptBytes.measured);
  assert.ok(asked.queriesPerMinute.measured && asked.queriesPerMinute.value > 0 && sweptToo.queriesPerMinute.measured);
  assert.ok(asked.rowsReadPerMinute.measured && sweptToo.rowsReadPerMinute.measured);
  assert.ok(sweptToo.rowsReadPerMinute.value > asked.rowsReadPerMinute.value, 'a sweep reads the keys besides');
  assert.deepEqual(sweep.setup, query.setup, 'the sweep needs no right beyond polling');
});

const none = { count: 0, keys: [] };

/** The share of the deletes that the sweep saw. */
function deletesSeen(report: ComparisonReport): number {
  const all = tables.map((table) => eventsOf(report, 'sweep', table).deletes);
  const sum = (read: (deletes: TableEvents['deletes']) => number): number => all.reduce((total, deletes) => total + read(deletes), 0);
  return sum(({ seen }) => seen) / sum(({ committed }) => committed);
}

function eventsOf(report: ComparisonReport, strategy: Strategy, table: string): TableEvents {
  const events = report.strategies[strategy]?.events;
  assert.ok(events?.measured);
  return events.value[`public.${table}`] ?? assert.fail(`no figures of ${table}`);
}

/** By two plain queries and a set: what the report's merge must find. */
async function ghostOrders(database: LegacyDatabase, read: ReadDatabase): Promise<readonly string[]> {
  const inSource = new Set((await database.query('SELECT id FROM orders')).map(({ id }) => id));
  const inModel = await read.query('SELECT id FROM query_model.orders ORDER BY orders.id');
  return inModel.map(({ id }) => id ?? '').filter((id) => !inSource.has(id));
}
