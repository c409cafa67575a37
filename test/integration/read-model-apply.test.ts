import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutgoingMessage } from '#kafka/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { StalePositionError } from '#read-model/apply/positions.ts';
import type { PartitionBatch } from '#read-model/apply/partition-batch.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { customer, eventValue, item, nextLsn, order, product, upsert } from '#test/support/order-events.ts';
import { orderHistory, randomBelow } from '#test/support/order-history.ts';
import { assertMirrors, assertViewIsTrue } from '#test/support/read-model-truth.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);

test('of two transactions with the same expected offset exactly one commits', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  const rivals = ['one', 'two', 'three', 'four'].map((status) => direct.batch('orders', 0, [upsert('orders', order(1, 1, status))]));
  const results = await Promise.allSettled(rivals.map((batch) => commitBatches(direct.pool, direct.model, [batch])));
  const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  assert.equal(refused.length, 3);
  assert.ok(refused.every((reason) => reason instanceof StalePositionError));
  const winner = results.findIndex(({ status }) => status === 'fulfilled');
  assert.deepEqual(await direct.read.query('SELECT status FROM model.orders'), [{ status: ['one', 'two', 'three', 'four'][winner] }]);
  assert.deepEqual(await direct.read.query('SELECT next_offset FROM model.applied_offsets'), [{ next_offset: '1' }]);
  assert.deepEqual(await direct.read.query('SELECT events FROM model.apply_log'), [{ events: '1' }]);
});

test('who held a partition before it was claimed again can write no more, not even at the right offset', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  await direct.read.query('UPDATE model.applied_offsets SET epoch = epoch + 1');
  const late = direct.batch('orders', 0, [upsert('orders', order(1, 1))]);
  await assert.rejects(commitBatches(direct.pool, direct.model, [late]), StalePositionError);
  assert.deepEqual(await direct.read.query('SELECT id FROM model.orders'), []);
});

test('one stale partition keeps the whole transaction from being applied, and is named', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  await direct.place('customers');
  const good = direct.batch('customers', 0, [upsert('customers', customer(1))]);
  const stale = direct.batch('orders', 5, [upsert('orders', order(1, 1))]);
  await assert.rejects(commitBatches(direct.pool, direct.model, [good, stale]), (error) => {
    assert.ok(error instanceof StalePositionError);
    assert.deepEqual(error.stale, [stale]);
    return true;
  });
  assert.deepEqual(await direct.read.query('SELECT id FROM model.customers'), []);
});

test(
  `transactions that touch one order from different partitions at once leave a true view (seed ${seed})`,
  { timeout: 150_000 },
  async () => {
    await using direct = await createDirectModel();
    const tables = ['customers', 'products', 'orders', 'order_items'];
    for (const table of tables) await direct.place(table);
    const rounds = 40;
    for (let round = 0; round < rounds; round += 1) {
      // All four write at the same moment what one row of the view is made of; nothing orders them but the database.
      const batches = [
        direct.batch('customers', round, [upsert('customers', customer(1, `name ${round}`))]),
        direct.batch('products', round, [upsert('products', product(1, `product ${round}`))]),
        direct.batch('orders', round, [upsert('orders', order(round % 3, 1, `status ${round}`))]),
        direct.batch('order_items', round, [upsert('order_items', item(1, (round + 1) % 3, 1, round + 1))]),
      ];
      await Promise.all(batches.map((batch) => commitBatches(direct.pool, direct.model, [batch])));
      await assertViewIsTrue(direct.read, 'model');
    }
  },
);

test(`any interleaving of the topics ends in the same mirrors and view (seed ${seed})`, { timeout: 150_000 }, async () => {
  const below = randomBelow(seed);
  const history = orderHistory(seed, 15);
  const byTable = history.next(400);
  const views: unknown[] = [];
  for (let run = 0; run < 6; run += 1) {
    await using direct = await createDirectModel();
    await replay(direct, byTable, below, run);
    await assertMirrors(direct.read, 'model', history.tables);
    await assertViewIsTrue(direct.read, 'model');
    views.push(await direct.read.query('SELECT * FROM model.order_view ORDER BY order_id'));
  }
  for (const view of views) assert.deepEqual(view, views[0]);
});

/** Applies the topics cut and shuffled by `below`; every second run takes several partitions into one transaction. */
async function replay(
  direct: DirectModel,
  byTable: ReadonlyMap<string, readonly OutgoingMessage[]>,
  below: (bound: number) => number,
  run: number,
): Promise<void> {
  const next = new Map([...byTable.keys()].map((table) => [table, 0]));
  for (const table of byTable.keys()) await direct.place(table);
  const take = (table: string): PartitionBatch | undefined => {
    const at = next.get(table) ?? 0;
    const messages = (byTable.get(table) ?? []).slice(at, at + 1 + below(60));
    next.set(table, at + messages.length);
    return messages.length === 0 ? undefined : direct.batch(table, at, messages);
  };
  const left = (): string[] => [...byTable].filter(([table, messages]) => (next.get(table) ?? 0) < messages.length).map(([table]) => table);
  for (let tables = left(); tables.length > 0; tables = left()) {
    const chosen = run % 2 === 0 ? tables.slice(below(tables.length)).slice(0, 1) : tables.filter(() => below(2) === 0);
    const batches = chosen.flatMap((table) => take(table) ?? []);
    if (batches.length > 0) await commitBatches(direct.pool, direct.model, batches);
  }
}

test('a truncate ends alike whether rows of other partitions come before or after it', async () => {
  const older = { key: '{"id":2}', value: eventValue({ table: 'orders', op: 'c', after: order(2, 1), lsn: nextLsn() }) };
  const truncate = { key: null, value: eventValue({ table: 'orders', op: 't', lsn: nextLsn() }) };
  const newer = { key: '{"id":3}', value: eventValue({ table: 'orders', op: 'c', after: order(3, 1), lsn: nextLsn() }) };
  const orderings = [[0, 1], [1, 0], [2]];
  for (const ordering of orderings) {
    await using direct = await createDirectModel();
    await direct.place('orders', 0);
    await direct.place('orders', 1);
    const truncating = direct.batch('orders', 0, [truncate], { partition: 0 });
    const writing = direct.batch('orders', 0, [older, newer], { partition: 1 });
    const steps = [[truncating], [writing], [truncating, writing]];
    for (const step of ordering) await commitBatches(direct.pool, direct.model, steps[step] ?? []);
    assert.deepEqual(await direct.read.query('SELECT id FROM model.orders'), [{ id: '3' }], `ordering ${ordering.join()}`);
    await assertViewIsTrue(direct.read, 'model');
  }
});

test('a truncate and a row that it removes, applied at the same moment, leave no ghost', { timeout: 150_000 }, async () => {
  await using direct = await createDirectModel();
  await direct.place('orders', 0);
  await direct.place('orders', 1);
  for (let round = 0; round < 30; round += 1) {
    const older = { key: '{"id":2}', value: eventValue({ table: 'orders', op: 'c', after: order(2, 1), lsn: nextLsn() }) };
    const truncate = { key: null, value: eventValue({ table: 'orders', op: 't', lsn: nextLsn() }) };
    await Promise.all([
      commitBatches(direct.pool, direct.model, [direct.batch('orders', round, [older], { partition: 1 })]),
      commitBatches(direct.pool, direct.model, [direct.batch('orders', round, [truncate], { partition: 0 })]),
    ]);
    assert.deepEqual(await direct.read.query('SELECT id FROM model.orders'), [], `round ${round}`);
  }
});
