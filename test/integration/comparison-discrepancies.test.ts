import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTerminal, startComparison, type ComparisonInput, type ComparisonReport, type Strategy } from '#comparison/index.ts';
import type { TableEvents } from '#comparison/events/count.ts';
import type { RowDifferences } from '#comparison/final-state/merge.ts';
import {
  createComparisonBench,
  eventMessage,
  tombstone,
  type ComparisonBench,
  type RecordedChange,
} from '#test/support/comparison-bench.ts';
import { describeError } from '#pipeline/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';

const none = { count: 0, keys: [] };

test('events that are missing, repeated, out of order or wrong, and rows that are missing, ghosts or stale: the report names exactly these', async () => {
  await using bench = await createComparisonBench();
  const { database, read } = bench;
  await seedOrders(bench);
  await bench.copySource();
  await bench.markApplied();
  await using running = await startComparison({ ...bench.input, latencyLimitMs: 60_000 });
  await bench.changes();

  await database.query("UPDATE orders SET status = 'paid' WHERE id = 1");
  await database.query("UPDATE orders SET status = 'shipped' WHERE id = 1");
  await database.query("UPDATE orders SET status = 'paid' WHERE id = 2");
  await database.query("UPDATE orders SET status = 'paid' WHERE id = 3");
  await database.query('DELETE FROM orders WHERE id = 5');
  await inTransaction(bench, ['SAVEPOINT s', 'INSERT INTO orders (customer_id) VALUES (1)', 'RELEASE s']);
  await inTransaction(bench, [
    "UPDATE orders SET status = 'paid' WHERE id = 4",
    "UPDATE orders SET status = 'shipped' WHERE id = 4",
    'INSERT INTO orders (id, customer_id) VALUES (100, 1)',
    'DELETE FROM orders WHERE id = 100',
  ]);
  await database.query('INSERT INTO orders (id, customer_id) VALUES (200, 1)');
  await database.query('DELETE FROM orders WHERE id = 200');
  const [paid, shipped, lost, partial, gone, itemGone, placed, passing, settled, ...cameAndWent] = await bench.changes();
  assert.ok(paid && shipped && lost && partial && gone && itemGone && placed && passing && settled);
  assert.deepEqual(
    cameAndWent.map(({ op, key }) => [op, key]),
    [
      ['c', '100'],
      ['d', '100'],
      ['c', '200'],
      ['d', '200'],
    ],
  );
  assert.deepEqual([gone.table, itemGone.table].toSorted(), ['order_items', 'orders']);
  const [orderGone, cascaded] = gone.table === 'orders' ? [gone, itemGone] : [itemGone, gone];

  // The log: order 2's state never comes, order 1's come in the wrong order and one of them twice, order 3's before-image has the key only.
  await bench.publish(bench.topic('log', 'orders'), [
    eventMessage(shipped),
    eventMessage(paid),
    eventMessage(shipped),
    eventMessage(partial, { before: { id: 3n, status: null } }),
    eventMessage(orderGone),
    tombstone(orderGone),
    ...[placed, passing, settled, ...cameAndWent].map((change) => eventMessage(change)),
  ]);
  await bench.publish(bench.topic('log', 'order_items'), [eventMessage(cascaded), tombstone(cascaded)]);
  // The poller: the last states, under the savepoint's own transaction id; and one state that never was.
  const polled = { before: null, op: 'u' };
  const states = [
    ...[shipped, lost, partial, settled].map((change) => eventMessage(change, polled)),
    eventMessage({ ...placed, txId: String(BigInt(placed.txId) + 1n) }, polled),
  ];
  await bench.publish(bench.topic('query', 'orders'), [
    ...states,
    eventMessage({ ...partial, after: Object.assign({}, partial.after, { status: 'wrong' }) }, polled),
  ]);
  // The sweep: order 5 is gone, which it says without a transaction; its item's going was missed.
  await bench.publish(bench.topic('sweep', 'orders'), [...states, eventMessage(orderGone, sweptAway), tombstone(orderGone)]);
  await bench.publish(bench.topic('query', 'customers'), [{ partition: 1, key: '{"id":1}', value: 'not json' }]);

  // The models: the source's rows, but for these.
  await bench.copySource();
  await read.query("UPDATE log_model.orders SET note = 'stale' WHERE id = 3");
  await read.query('DELETE FROM log_model.order_items WHERE id = 4');
  await read.query("INSERT INTO log_model.products VALUES (99, 'ghost', 'ghost', '', 1, true, now())");
  await read.query('UPDATE log_model.order_view SET total = total + 0.01 WHERE order_id = 4');
  await read.query("INSERT INTO query_model.orders VALUES (5, 1, 'new', NULL, now(), now())");
  await read.query('INSERT INTO sweep_model.order_items VALUES (5, 5, 1, 5, 9.99, now())');
  await bench.markApplied();
  await read.query(
    'INSERT INTO log_model.apply_log (topic, partition, first_offset, next_offset, events, applied_at) VALUES ($1, 0, 0, 100, 7, clock_timestamp())',
    [bench.topic('log', 'orders')],
  );
  const report = await running.finish();

  const logOrders = events(report, 'log', 'orders');
  assert.deepEqual(logOrders.withinTransactions, { made: 3, seen: 3 });
  assert.deepEqual(logOrders.states, { committed: 7, superseded: 2, seen: 6, lost: { count: 1, keys: ['2'] } });
  assert.deepEqual(logOrders.duplicates, { count: 1, keys: ['1'] });
  assert.deepEqual(logOrders.outOfOrder, { count: 1, keys: ['1'] });
  assert.deepEqual(logOrders.unexplained, none);
  assert.deepEqual(logOrders.deletes, { committed: 2, seen: 2, lost: none, ofUnseen: none });
  assert.deepEqual(logOrders.beforeImages, { complete: 7, incomplete: 1, absent: 0 });
  assert.equal(logOrders.tombstones, 1);
  assert.deepEqual(events(report, 'log', 'order_items').deletes, { committed: 1, seen: 1, lost: none, ofUnseen: none });

  const queryOrders = events(report, 'query', 'orders');
  assert.deepEqual(queryOrders.withinTransactions, { made: 3, seen: 0 });
  assert.deepEqual(queryOrders.states, { committed: 7, superseded: 2, seen: 5, lost: { count: 2, keys: ['1', '200'] } });
  const cameAndWentUnseen = { count: 1, keys: ['200'] };
  assert.deepEqual(queryOrders.deletes, { committed: 2, seen: 0, lost: { count: 2, keys: ['5', '200'] }, ofUnseen: cameAndWentUnseen });
  assert.deepEqual(queryOrders.unexplained, { count: 1, keys: ['3'] });
  assert.deepEqual(queryOrders.beforeImages, { complete: 0, incomplete: 0, absent: 4 });
  assert.deepEqual(queryOrders.duplicates, none);
  assert.deepEqual(events(report, 'query', 'order_items').deletes.lost, { count: 1, keys: ['5'] });

  const sweepOrders = events(report, 'sweep', 'orders');
  assert.deepEqual(sweepOrders.states, queryOrders.states);
  assert.deepEqual(sweepOrders.deletes, { committed: 2, seen: 1, lost: cameAndWentUnseen, ofUnseen: cameAndWentUnseen });
  assert.deepEqual(
    [sweepOrders.unexplained, sweepOrders.duplicates, sweepOrders.outOfOrder, sweepOrders.tombstones],
    [none, none, none, 1],
  );
  assert.deepEqual(events(report, 'sweep', 'order_items').deletes, {
    committed: 1,
    seen: 0,
    lost: { count: 1, keys: ['5'] },
    ofUnseen: none,
  });

  assert.deepEqual(differencesOf(report, 'log'), {
    customers: {},
    products: { ghost: ['99'] },
    orders: { stale: ['3'], columns: ['note'] },
    order_items: { missing: ['4'] },
    'order view': { stale: ['4'], columns: ['total'] },
  });
  assert.deepEqual(differencesOf(report, 'query'), {
    customers: {},
    products: {},
    orders: { ghost: ['5'] },
    order_items: {},
    'order view': {},
  });

  assert.deepEqual(differencesOf(report, 'sweep'), {
    customers: {},
    products: {},
    orders: {},
    order_items: { ghost: ['5'] },
    'order view': {},
  });

  const { log, query, sweep } = report.strategies;
  assert.ok(log.latency.toKafka.measured && log.latency.toReadModel.measured && query.latency.toKafka.measured);
  assert.deepEqual([log.latency.toKafka.value.n, log.latency.toReadModel.value.n, query.latency.toKafka.value.n], [8, 8, 5]);
  assert.ok(log.latency.deletesToKafka.measured && log.latency.deletesToReadModel.measured);
  assert.deepEqual([log.latency.deletesToKafka.value.n, log.latency.deletesToReadModel.value.n], [4, 3]);
  assert.deepEqual(query.latency.deletesToKafka, { measured: false, why: 'no event of this run arrived' });
  assert.ok(sweep?.latency.deletesToKafka.measured);
  assert.equal(sweep.latency.deletesToKafka.value.n, 1);
  assert.ok(log.latency.toKafka.value.max > 0 && log.latency.toKafka.value.max < 60_000);
  assert.deepEqual(query.latency.toReadModel, { measured: false, why: "none of these events is in the read model's apply_log" });
  assert.ok(report.notes.some((note) => /^1 message of public\.customers \(query\) not a change event; the first: .*offset 0/.test(note)));
  assert.deepEqual(
    Object.fromEntries(report.claims.map(({ id, outcome }) => [id, outcome])),
    {
      setup: 'query+sweep',
      privileges: 'query+sweep',
      columns: 'inconclusive',
      load: 'inconclusive',
      deletes: 'only-log',
      ghosts: 'none',
      states: 'none',
      'before-images': 'none',
      'final-rows': 'query+sweep',
      'order-view': 'query+sweep',
      once: 'query+sweep',
      order: 'query+sweep',
      latency: 'inconclusive',
      'delete-latency': 'only-log',
    },
    JSON.stringify(report.claims, null, 2),
  );
  const text = renderTerminal(report);
  assert.match(text, /log \(Debezium\): 1 ghost row in public\.products: 99\n/);
  assert.match(text, /query \(poller\): 1 ghost row in public\.orders: 5\n/);
  assert.match(text, /query \+ sweep: 1 delete of rows that came and went unseen in public\.orders: 200\n/);
  assert.match(text, /query \+ sweep: 1 ghost row in public\.order_items: 5\n/);
});

test('a run in which nothing happened is inconclusive, not a success', async () => {
  await using bench = await createComparisonBench();
  await using running = await startComparison(bench.input);
  const { claims } = await running.finish();
  const judged = claims.filter(({ id }) => id !== 'setup' && id !== 'privileges');
  assert.deepEqual(new Set(judged.map(({ outcome }) => outcome)), new Set(['inconclusive']));
});

test('a change after the run is not held against anybody, and is said', async () => {
  await using bench = await createComparisonBench();
  await seedOrders(bench);
  await bench.copySource();
  await using running = await startComparison({
    ...bench.input,
    // Asked after the closing sentinel: what commits now is after the window.
    horizons: {
      ...bench.input.horizons,
      query: async () => {
        await bench.database.query("UPDATE orders SET note = 'later' WHERE id = 1");
        return bench.input.horizons.query();
      },
    },
  });
  const report = await running.finish();
  assert.equal(events(report, 'log', 'orders').states.committed, 0);
  assert.equal(report.claims.find(({ id }) => id === 'final-rows')?.outcome, 'inconclusive');
  assert.ok(report.notes.some((note) => note.startsWith('The source changed after the run')));
});

test('what the poller publishes just before it says that it has passed the run is still seen', async () => {
  await using bench = await createComparisonBench();
  const { database } = bench;
  await seedOrders(bench);
  await bench.copySource();
  let changed = false;
  await using running = await startComparison({
    ...bench.input,
    horizons: {
      ...bench.input.horizons,
      query: async () => {
        if (changed) {
          const changes = await bench.changes();
          await bench.publish(
            bench.topic('log', 'orders'),
            changes.map((change) => eventMessage(change)),
          );
          await bench.publish(
            bench.topic('query', 'orders'),
            changes.map((change) => eventMessage(change, { before: null })),
          );
          await bench.markApplied();
        }
        return bench.input.horizons.query();
      },
    },
  });
  await bench.changes();
  await database.query('UPDATE orders SET note = status');
  changed = true;
  const report = await running.finish();
  for (const strategy of ['log', 'query'] as const) {
    assert.deepEqual(events(report, strategy, 'orders').states, { committed: 5, superseded: 0, seen: 5, lost: none });
  }
});

test('whoever is behind when the time is over is named: connector, poller, read model', async () => {
  await using bench = await createComparisonBench();
  const { database, kafka } = bench;
  const input = { ...bench.input, catchUpTimeoutMs: 1000 };
  await assert.rejects(startAndStop({ ...input, heartbeatTable: { schema: 'cdc', table: 'other' } }), { code: 'TOPIC_MISSING' });
  await database.query('CREATE TABLE cdc.silent (LIKE cdc.heartbeat INCLUDING ALL)');
  await using admin = await kafka.admin();
  const silentTopic = `${input.strategies.log.topicPrefix}.cdc.silent`;
  await admin.ensureTopics([{ topic: silentTopic, partitions: 1, replicationFactor: 1 }]);
  await assert.rejects(startAndStop({ ...input, heartbeatTable: { schema: 'cdc', table: 'silent' } }), (error: Error) => {
    assert.match(error.message, /the heartbeat of transaction \d+ has not come by the log/);
    return true;
  });
  await admin.deleteTopics([silentTopic]);
  for (const [strategy, who] of [
    ['query', 'the poller'],
    ['sweep', 'the poller with the key sweep'],
  ] as const) {
    const late = new RegExp(`${who} has not passed transaction \\d+ in .*public\\.customers \\(no position\\).*public\\.orders \\(3\\)`);
    assert.match(await whoIsBehind({ ...input, horizons: { ...input.horizons, [strategy]: behind } }), late);
  }
  const change: RecordedChange = { op: 'c', table: 'orders', txId: '9', key: '1', before: null, after: { id: 1 } };
  await bench.publish(bench.topic('log', 'orders'), [eventMessage(change)]);
  assert.match(await whoIsBehind(input), /read model log_model is at offset 0 of 1 in \S+\.public\.orders, partition 0/);
});

/** Who is named when the time is over. A busy machine may need longer for what comes before it: then there is more time. */
async function whoIsBehind(input: ComparisonInput): Promise<string> {
  for (let catchUpTimeoutMs = 1000; ; catchUpTimeoutMs *= 2) {
    try {
      await startAndStop({ ...input, catchUpTimeoutMs });
    } catch (error) {
      const reported = describeError(error);
      if (!/the heartbeat of|the observer has not read/.test(reported) || catchUpTimeoutMs > 30_000) return reported;
      continue;
    }
    assert.fail('nobody is behind');
  }
}

test('without a ledger the comparison says so and names the remedy', async () => {
  await using bench = await createComparisonBench();
  await using other = await createLegacyDatabase();
  await assert.rejects(startAndStop({ ...bench.input, legacyDatabase: other.owner }), {
    code: 'LEDGER_MISSING',
    remedy: /migrate --ledger/,
  });
});

async function behind(): Promise<ReadonlyMap<string, bigint>> {
  return new Map([['public.orders', 3n]]);
}

/** As a sweep writes it: it knows neither the row as it was nor the transaction. */
const sweptAway = {
  before: null,
  source: { connector: 'test', name: 'test', db: 'test', schema: 'public', table: 'orders', txId: null, lsn: null },
};

/** Disposed at once, so that a start which should have failed does not keep the test's process alive. */
async function startAndStop(input: ComparisonInput): Promise<void> {
  const running = await startComparison(input);
  await running[Symbol.asyncDispose]();
}

async function inTransaction({ database }: ComparisonBench, statements: readonly string[]): Promise<void> {
  for (const sql of ['BEGIN', ...statements, 'COMMIT']) await database.query(sql);
}

async function seedOrders({ database }: ComparisonBench): Promise<void> {
  await database.query("INSERT INTO customers (email, name, credit_limit) VALUES ('a@example.org', 'A', 100.5)");
  await database.query("INSERT INTO products (sku, name, price) VALUES ('p', 'P', 9.99)");
  await database.query('INSERT INTO orders (customer_id) SELECT 1 FROM generate_series(1, 5)');
  await database.query(
    'INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT n, 1, n, 9.99 FROM generate_series(1, 5) n',
  );
}

function events(report: ComparisonReport, strategy: Strategy, table: string): TableEvents {
  const found = report.strategies[strategy]?.events;
  assert.ok(found?.measured);
  return found.value[`public.${table}`] ?? assert.fail(`no figures of ${table}`);
}

type Differences = { missing?: readonly string[]; ghost?: readonly string[]; stale?: readonly string[]; columns?: readonly string[] };

function differencesOf(report: ComparisonReport, strategy: Strategy): Readonly<Record<string, Differences>> {
  const { state } = report.strategies[strategy] ?? assert.fail(`no ${strategy}`);
  const { tables, orderView } = state;
  const found: Record<string, Differences> = {};
  for (const [table, rows] of [...Object.entries(tables), ['order view', orderView] as const]) {
    assert.ok(rows.measured);
    found[table.replace('public.', '')] = brief(rows.value);
  }
  return found;
}

function brief({ missing, ghost, stale, staleColumns }: RowDifferences): Differences {
  return {
    ...(missing.count === 0 ? {} : { missing: missing.keys }),
    ...(ghost.count === 0 ? {} : { ghost: ghost.keys }),
    ...(stale.count === 0 ? {} : { stale: stale.keys, columns: Object.keys(staleColumns) }),
  };
}
