import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#pipeline/index.ts';
import { inTransaction, queryText } from '#read-model/database.ts';
import { createBatchScheduler } from '#read-model/apply/batch-scheduler.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { customer, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';

const orders = 60_000;
const items = 180_000;
const large: readonly string[] = ['orders', 'order_items', 'order_view'];

async function fill({ read }: DirectModel): Promise<void> {
  await read.query(`
    INSERT INTO model.customers SELECT n, 'c' || n, 'c' || n, 'basic', 1, now(), now(), 1 FROM generate_series(1, 6000) n;
    INSERT INTO model.products SELECT n, 'p' || n, 'p' || n, NULL, 1, true, now(), 1 FROM generate_series(1, 2000) n;
    INSERT INTO model.orders SELECT n, 1 + n % 6000, 'new', NULL, now(), now(), 1 FROM generate_series(1, ${orders}) n;
    INSERT INTO model.order_items SELECT n, 1 + n::bigint * 7919 % ${orders}, 1 + n % 2000, 1, 2.5, now(), 1 FROM generate_series(1, ${items}) n;
    INSERT INTO model.order_view SELECT n, 'new', now(), NULL, 1, NULL, NULL, NULL, '[]', 0, 0, now() FROM generate_series(1, ${orders}) n`);
}

/** What reads a large table whole, of all statements for so many keys. */
async function wholeReads(direct: DirectModel): Promise<readonly string[]> {
  const found: string[] = [];
  const [orderView] = direct.model.projections;
  assert.ok(orderView);
  const touching = Object.values(orderView.touchedBy).flatMap((all) => all.flatMap((touch) => ('sql' in touch ? [touch.sql] : [])));
  for (const sql of [...orderView.upkeep, ...touching]) {
    for (const keys of [1, 100, 1000]) {
      for (const table of await readWhole(direct, sql, keys)) found.push(`${table}, ${keys} keys: ${sql}`);
    }
  }
  return found;
}

/** The large tables that the plan of a statement for so many keys reads whole. */
async function readWhole(direct: DirectModel, sql: string, keys: number): Promise<readonly string[]> {
  const list = Array.from({ length: keys }, (_, index) => 1 + ((index * 104_729) % orders));
  const plan = await inTransaction(direct.pool, 'model', (client) => queryText(client, `EXPLAIN ${sql}`, [`{${list.join(',')}}`]));
  const scans = plan.flatMap((row) => /Seq Scan on (\w+)/.exec(row[0] ?? '')?.[1] ?? []);
  return scans.filter((table) => large.includes(table));
}

test('what a batch touches is found and made again by indexes, not by reading a large table whole', { timeout: 150_000 }, async () => {
  await using direct = await createDirectModel();
  await fill(direct);
  await direct.read.query('ANALYZE');
  assert.deepEqual(await wholeReads(direct), []);
});

test(
  'tables that were just filled have statistics with the first batches, though autovacuum has not come yet',
  { timeout: 150_000 },
  async () => {
    await using direct = await createDirectModel();
    for (const table of large) await direct.read.query(`ALTER TABLE model.${table} SET (autovacuum_enabled = false)`);
    await fill(direct);
    assert.notDeepEqual(await wholeReads(direct), [], 'statistics that nobody made');
    await direct.place('customers');
    const scheduler = createBatchScheduler(direct.pool, direct.model, silentLogger, new AbortController().signal);
    assert.equal(await scheduler.submit(direct.batch('customers', 0, [upsert('customers', customer(1))])), 'applied');
    await eventually(
      () => wholeReads(direct),
      (found) => found.length === 0,
    );
  },
);
