import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { describeWorkload, planWorkload, runWorkload, seed } from '#legacy-db/index.ts';
import type { Operation, Step } from '#legacy-db/workload/operation.ts';
import { loadRowPools } from '#legacy-db/workload/row-pools.ts';
import { runTransaction, type ChooseRow } from '#legacy-db/workload/transaction.ts';
import { createLegacyDatabase, type LegacyDatabase, type TextRow } from '#test/support/legacy-database.ts';

const sessions = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'old application'";
const fewRows = { customers: 30, products: 20, orders: 60 };

suite('legacy workload', { concurrency: 3 }, () => {
  test('the same seed by one writer gives the same rows in two databases, another seed does not', async () => {
    const [one, same, other] = await Promise.all([contentsAfter(7), contentsAfter(7), contentsAfter(8)]);
    assert.deepEqual(one, same);
    assert.notDeepEqual(one, other);
  });

  test('the same seed gives the same seed rows, chunk by chunk, and a second seeding adds to them', async () => {
    await using one = await createLegacyDatabase();
    await using other = await createLegacyDatabase();
    const sizes = { customers: 20_100, products: 50, orders: 300, seed: 5 };
    const steps: number[] = [];
    const added = await seed(one.owner, { ...sizes, onProgress: ({ rows }) => steps.push(rows) });
    await seed(other.owner, sizes);
    assert.deepEqual(steps, [20_000, 20_100, 50, 300]);
    assert.deepEqual(await contents(other), await contents(one));
    await seed(one.owner, { ...fewRows, seed: 5 });
    const [counts] = await one.query('SELECT (SELECT count(*) FROM customers) AS customers, (SELECT count(*) FROM order_items) AS items');
    assert.equal(counts?.['customers'], '20130');
    assert.ok(Number(counts?.['items']) > added.orderItems);
    await one.queryAs(one.application, "INSERT INTO customers (email, name) VALUES ('next@example.com', 'Next')");
  });

  test('a workload ends with no connection and no transaction of its own', async () => {
    await using db = await createLegacyDatabase({ seed: fewRows });
    const application = { ...db.application, application_name: 'old application' };
    const statistics = await runWorkload({ application, rate: 300, operations: 300, seed: 4, writers: 6 });
    assert.deepEqual(await openSessions(db), []);
    assert.equal(statistics.operations.started, 300);
    assert.ok(statistics.transactions.committedLate > 0);
    assert.ok(statistics.savepoints.released > 0 && statistics.savepoints.rolledBack > 0);
    assert.equal(statistics.transactions.lost, 0);
    assert.match(describeWorkload(statistics), /^300 operations/);
  });

  test('an abort ends a transaction that is held open at once, with its commit', async () => {
    await using db = await createLegacyDatabase({ seed: fewRows });
    const { workloadSeed, holdMs } = findSeed(([first]) => first?.kind === 'late-commit' && holdOf(first) > 1400);
    const application = { ...db.application, application_name: 'old application' };
    const held = `SELECT extract(epoch FROM clock_timestamp() - xact_start) * 1000 AS ms FROM (${sessions.replace('state', '*')}) AS held
                   WHERE state = 'idle in transaction' AND query <> 'BEGIN'`;
    const halfMs = holdMs / 2;
    // A busy machine may see it too late to show anything: then once more.
    for (let tries = 1; ; tries += 1) {
      const abort = new AbortController();
      const running = runWorkload({ application, rate: Infinity, operations: 10, seed: workloadSeed, writers: 1, signal: abort.signal });
      let isOver = false;
      const over = (): void => {
        isOver = true;
      };
      void running.then(over, over);
      let openMs = Infinity;
      await until(async () => {
        const [row] = await db.queryAs(db.superuser, held);
        openMs = Number(row?.['ms'] ?? Infinity);
        return row !== undefined || isOver;
      });
      const abortedAt = performance.now();
      abort.abort();
      const statistics = await running;
      const tookMs = performance.now() - abortedAt;
      assert.deepEqual(await openSessions(db), []);
      if (openMs > halfMs || statistics.transactions.committed > 1) {
        assert.ok(tries < 20, `open for ${openMs} ms when it was seen, of ${holdMs}; ${describeWorkload(statistics)}`);
        continue;
      }
      assert.ok(tookMs < halfMs, `${tookMs} ms, to be held for ${holdMs - openMs} ms more`);
      assert.equal(statistics.aborted, true);
      assert.equal(statistics.transactions.committed, 1);
      assert.equal(statistics.operations.notStarted, 9);
      return;
    }
  });

  test('an abort ends the wait for the next operation at once', async () => {
    await using db = await createLegacyDatabase({ seed: fewRows });
    const abort = new AbortController();
    const application = { ...db.application, application_name: 'old application' };
    const running = runWorkload({ application, rate: 0.01, seconds: 1000, writers: 4, signal: abort.signal });
    await until(async () => (await sessionStates(db)).length === 4);
    abort.abort();
    const { elapsedMs } = await running;
    assert.ok(elapsedMs < 60_000, `${elapsedMs} ms, though the fourth operation was due after 300 s`);
    assert.deepEqual(await openSessions(db), []);
  });

  test('what a rolled-back savepoint did is neither in the database nor known to the workload', async () => {
    await using db = await createLegacyDatabase();
    await seed(db.owner, { ...fewRows, orders: 0 });
    const client = new Client(db.application);
    await client.connect();
    try {
      const pools = await loadRowPools(client);
      const placeOrder: Step = { do: 'place-order', customer: 0, note: null, items: [{ product: 0, quantity: 1 }] };
      const steps: Step[] = [
        { do: 'savepoint', steps: [placeOrder], ending: 'rollback' },
        { do: 'savepoint', steps: [placeOrder, { do: 'savepoint', steps: [placeOrder], ending: 'rollback' }], ending: 'release' },
      ];
      const choose: ChooseRow = (table, pick) => pools[table].at(pick);
      const { signal } = new AbortController();
      const report = await runTransaction(client, { steps, holdMs: 0, ending: 'commit' }, pools, choose, signal);
      assert.deepEqual(report, { savepointsReleased: 1, savepointsRolledBack: 2, rowsGone: 0 });
      assert.deepEqual(await db.query('SELECT id FROM orders'), [{ id: pools.orders.at(0) }]);
      assert.equal(pools.orders.size, 1);
      await runTransaction(client, { steps, holdMs: 0, ending: 'rollback' }, pools, choose, signal);
      assert.equal((await db.query('SELECT FROM order_items')).length, 1);
      assert.equal(pools.order_items.size, 1);
    } finally {
      await client.end();
    }
  });

  test('a rate that the writers cannot keep is counted, and the time is kept', async () => {
    await using db = await createLegacyDatabase({ seed: fewRows });
    const statistics = await runWorkload({ application: db.application, rate: 20_000, seconds: 0.5, seed: 1, writers: 2 });
    assert.ok(statistics.operations.startedLate > 0);
    assert.ok(statistics.operations.maxLagMs > 100);
    assert.equal(statistics.operations.started + statistics.operations.notStarted, 10_000);
    assert.ok(statistics.operations.notStarted > 0);
    assert.ok(statistics.elapsedMs < 0.5 * 1000 + 1000 + 5000, `${statistics.elapsedMs} ms`);
  });

  test('connections cut in the middle are counted and replaced', async () => {
    await using db = await createLegacyDatabase({ seed: fewRows });
    const application = { ...db.application, application_name: 'old application' };
    const running = runWorkload({ application, rate: 100, operations: 200, seed: 6, writers: 3 });
    await until(async () => (await sessionStates(db)).length === 3);
    await db.queryAs(db.superuser, sessions.replace('state', 'pg_terminate_backend(pid)'));
    const statistics = await running;
    assert.ok(statistics.reconnects > 0 && statistics.transactions.lost > 0, describeWorkload(statistics));
    assert.equal(statistics.operations.started, 200);
  });

  test('without tables, without rows, or without rights it says what to do', async () => {
    await using bare = await createLegacyDatabase({ empty: true });
    await using db = await createLegacyDatabase();
    const length = { rate: 10, operations: 20 };
    await assert.rejects(runWorkload({ ...length, application: bare.application }), { code: 'LEGACY_TABLES_MISSING' });
    await assert.rejects(runWorkload({ ...length, application: db.application }), { code: 'LEGACY_DB_EMPTY' });
    await assert.rejects(seed(db.owner, { customers: 0, products: 5, orders: 5 }), { code: 'LEGACY_DB_EMPTY' });
    await seed(db.owner, fewRows);
    await assert.rejects(runWorkload({ ...length, application: db.poller }), { code: 'LEGACY_PRIVILEGE_MISSING', message: /cdc_poller/ });
  });
});

async function contentsAfter(workloadSeed: number): Promise<unknown> {
  await using db = await createLegacyDatabase({ seed: fewRows });
  await runWorkload({ application: db.application, rate: Infinity, operations: 100, seed: workloadSeed, writers: 1 });
  return await contents(db);
}

/** The first seed whose plan begins as asked, and how long its first transaction is held. */
function findSeed(wanted: (plan: readonly Operation[]) => boolean): { workloadSeed: number; holdMs: number } {
  for (let workloadSeed = 1; ; workloadSeed += 1) {
    const plan = planWorkload({ seed: workloadSeed, rate: Infinity }).take(1).toArray();
    const [first] = plan;
    if (first !== undefined && wanted(plan)) return { workloadSeed, holdMs: holdOf(first) };
  }
}

function holdOf(operation: Operation): number {
  return operation.transactions[0]?.holdMs ?? 0;
}

/** All rows but their times, which are the clock's. */
async function contents(db: LegacyDatabase): Promise<unknown> {
  const tables = ['customers', 'products', 'orders', 'order_items'];
  return Promise.all(
    tables.map((table) =>
      db.query(`SELECT count(*) AS rows, md5(string_agg(row, E'\\n' ORDER BY id)) AS content
        FROM (SELECT id, (to_jsonb(t) - ARRAY['updated_at', 'created_at', 'placed_at'])::text AS row FROM ${table} t) AS rows`),
    ),
  );
}

async function sessionStates(db: LegacyDatabase): Promise<(string | null | undefined)[]> {
  return (await db.queryAs(db.superuser, sessions)).map(({ state }) => state);
}

/** A closed connection is seen for a moment longer; one that does not go is returned. */
async function openSessions(db: LegacyDatabase): Promise<TextRow[]> {
  for (let attempt = 0; ; attempt += 1) {
    const open = await db.queryAs(db.superuser, sessions);
    if (open.length === 0 || attempt === 20) return open;
    await delay(10);
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'the condition did not come about within a minute');
    await delay(5);
  }
}
