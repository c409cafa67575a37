import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unavailableValue } from '#change-events/index.ts';
import type { OutgoingMessage } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { partitionStatus } from '#test/support/read-model-status.ts';
import { customer, item, order, product, remove, tombstone, truncation, upsert } from '#test/support/order-events.ts';
import { deleteRecords } from '#test/support/delete-records.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { executeCommands } from '#test/support/remedy-commands.ts';

async function view(model: ReadModelFixture): Promise<unknown[]> {
  return model.read.query('SELECT order_id, status, customer_name, items, item_count, total FROM model.order_view ORDER BY order_id');
}

test('inserts, updates, deletes, tombstones and a truncate reach mirrors and order view', { timeout: 150_000 }, async () => {
  await using model = await createReadModel();
  await using running = await model.start();
  // Children first: nothing depends on parents being there.
  await model.send('order_items', [upsert('order_items', item(1, 10, 5, 3, '2.50')), upsert('order_items', item(2, 10, 6, 1, '0.10'))]);
  await model.send('orders', [upsert('orders', order(10, 7)), upsert('orders', order(11, 7))]);
  await model.send('customers', [upsert('customers', customer(7, 'Ada'))]);
  await model.send('products', [upsert('products', product(5)), upsert('products', product(6)), upsert('products', product(8))]);
  await model.caughtUp();
  const items = await model.read.query(`SELECT items FROM model.order_view WHERE order_id = 10`);
  assert.equal(
    items[0]?.['items'],
    '[{"id": 1, "sku": "SKU-5", "name": "product 5", "quantity": 3, "product_id": 5, "unit_price": "2.50"}, ' +
      '{"id": 2, "sku": "SKU-6", "name": "product 6", "quantity": 1, "product_id": 6, "unit_price": "0.10"}]',
  );
  assert.deepEqual(await model.read.query('SELECT order_id, customer_name, item_count, total FROM model.order_view ORDER BY order_id'), [
    { order_id: '10', customer_name: 'Ada', item_count: '2', total: '7.60' },
    { order_id: '11', customer_name: 'Ada', item_count: '0', total: '0' },
  ]);

  // The item moves to the other order: both rows of the view follow. The customer is renamed, an order goes, a product by tombstone only.
  await model.send('order_items', [upsert('order_items', item(2, 11, 6, 4, '0.10'), 'u')]);
  await model.send('customers', [upsert('customers', customer(7, 'Ada L.'), 'u')]);
  await model.send('products', [tombstone(6)]);
  await model.caughtUp();
  assert.deepEqual(
    await model.read.query("SELECT order_id, customer_name, total, items->0->>'sku' AS sku FROM model.order_view ORDER BY order_id"),
    [
      { order_id: '10', customer_name: 'Ada L.', total: '7.50', sku: 'SKU-5' },
      { order_id: '11', customer_name: 'Ada L.', total: '0.40', sku: null },
    ],
  );
  await model.send('orders', remove('orders', 10));
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT order_id FROM model.order_view'), [{ order_id: '11' }]);

  await model.send('order_items', [truncation('order_items'), upsert('order_items', item(3, 11, 5, 1, '1.00'))]);
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT id FROM model.order_items'), [{ id: '3' }]);
  assert.deepEqual(await model.read.query('SELECT total FROM model.order_view'), [{ total: '1.00' }]);
  const log = await model.read.query('SELECT sum(events) AS events FROM model.apply_log');
  assert.equal(log[0]?.['events'], '15');
  void running;
});

function unchanged(id: number, name: string): OutgoingMessage {
  return upsert('products', { ...product(id, name), description: unavailableValue }, 'u');
}

test('an unchanged TOAST column keeps its value, within a batch and across batches', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ settings: { onPoison: 'stop' } });
  await using running = await model.start();
  const long = 'x'.repeat(10_000);
  await model.send('products', [upsert('products', { ...product(1), description: long }), unchanged(1, 'same batch')]);
  await model.caughtUp();
  await model.send('products', [unchanged(1, 'later'), upsert('products', { ...product(2), description: 'new' }), unchanged(2, 'second')]);
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT id, name, description FROM model.products ORDER BY id'), [
    { id: '1', name: 'later', description: long },
    { id: '2', name: 'second', description: 'new' },
  ]);
  // Nothing is stored that could complete this one: no null slips in, the model stops before it.
  await model.send('products', [upsert('products', product(4)), unchanged(3, 'unknown')]);
  await assert.rejects(running.closed, (error) => {
    assert.ok(error instanceof CdcError);
    assert.equal(error.code, 'READ_MODEL_EVENT_INAPPLICABLE');
    assert.match(error.message, /products, partition \d, offset \d+, key 3,.*description/);
    return true;
  });
  assert.deepEqual(await model.read.query('SELECT id FROM model.products WHERE id = 3'), []);
});

test('replaying every topic from offset 0 twice leaves the same model', { timeout: 150_000 }, async () => {
  await using model = await createReadModel();
  {
    await using running = await model.start();
    for (let id = 1; id <= 20; id += 1) {
      await model.send('orders', [upsert('orders', order(id, id % 3)), upsert('orders', order(id, id % 3, 'paid'), 'u')]);
      await model.send('order_items', [upsert('order_items', item(id, id, 1, id)), ...(id % 4 === 0 ? remove('order_items', id) : [])]);
    }
    await model.send(
      'customers',
      [0, 1, 2].map((id) => upsert('customers', customer(id))),
    );
    await model.send('orders', remove('orders', 5));
    await model.caughtUp();
    void running;
  }
  const before = await view(model);
  assert.equal(before.length, 19);
  for (let replay = 0; replay < 2; replay += 1) {
    await model.read.query('UPDATE model.applied_offsets SET next_offset = 0');
    await using running = await model.start();
    await model.caughtUp();
    assert.deepEqual(await view(model), before);
    void running;
  }
});

test('a topic that comes late is waited for and then read', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ topics: false });
  await using running = await model.start();
  const create = (table: string) => model.admin.ensureTopics([{ topic: model.topic(table), partitions: 2, replicationFactor: 1 }]);
  await create('orders');
  await model.send('orders', [upsert('orders', order(1, 1))]);
  await model.caughtUp();
  await create('customers');
  await model.send('customers', [upsert('customers', customer(1, 'late'))]);
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT customer_name FROM model.order_view'), [{ customer_name: 'late' }]);
  void running;
});

test('an event that the mirror cannot take stops the model before it and is named', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1, settings: { onPoison: 'stop' } });
  await using running = await model.start();
  const good = Array.from({ length: 50 }, (_, index) => upsert('orders', order(index, 1)));
  await model.send('orders', [...good, upsert('orders', { ...order(50, 1), placed_at: 'not a time' }), upsert('orders', order(51, 1))]);
  await assert.rejects(running.closed, (error) => {
    assert.ok(error instanceof CdcError);
    assert.equal(error.code, 'READ_MODEL_EVENT_INAPPLICABLE');
    assert.match(error.message, /orders, partition 0, offset 50, key 50,.*not a time/);
    return true;
  });
  const offsets = await model.read.query(`SELECT next_offset FROM model.applied_offsets WHERE topic LIKE '%.orders'`);
  assert.deepEqual(offsets, [{ next_offset: '0' }]);
  assert.deepEqual(await model.read.query('SELECT id FROM model.orders'), []);
});

test('a lost connection in the middle of the work is recovered from', { timeout: 150_000 }, async () => {
  await using model = await createReadModel();
  await using running = await model.start();
  for (let round = 0; round < 5; round += 1) {
    await model.send(
      'orders',
      Array.from({ length: 40 }, (_, index) => upsert('orders', order(round * 40 + index, 1))),
    );
    await model.read.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cdc read-model'`,
    );
  }
  await model.caughtUp();
  assert.deepEqual(await model.read.query('SELECT count(*) FROM model.order_view'), [{ count: '200' }]);
  const log = await model.read.query('SELECT sum(events) AS events FROM model.apply_log');
  assert.equal(log[0]?.['events'], '200');
  void running;
});

test(
  'a database that was put back to an earlier state under a running consumer is caught up from there',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel();
    await using running = await model.start();
    await model.send(
      'orders',
      Array.from({ length: 30 }, (_, index) => upsert('orders', order(index, 1))),
    );
    await model.caughtUp();
    await model.read.query(
      'BEGIN; UPDATE model.applied_offsets SET next_offset = 0; DELETE FROM model.orders; DELETE FROM model.order_view; COMMIT',
    );
    await model.send(
      'orders',
      Array.from({ length: 30 }, (_, index) => upsert('orders', order(30 + index, 1))),
    );
    await model.caughtUp();
    assert.deepEqual(await model.read.query('SELECT count(*) FROM model.orders'), [{ count: '60' }]);
    assert.deepEqual(await model.read.query('SELECT count(*) FROM model.order_view'), [{ count: '60' }]);
    void running;
  },
);

/** Of the one partition that halts: code, cause and remedy. Waits for it. */
async function haltOf(model: ReadModelFixture): Promise<{ readonly code: string; readonly cause: string; readonly remedy: string }> {
  const halts = async () => (await partitionStatus(model.config)).flatMap(({ halted }) => halted ?? []);
  const [halt] = await eventually(halts, (found) => found.length > 0);
  assert.ok(halt);
  return halt;
}

test('a topic that ends before what is applied is refused, naming both offsets, and others go on', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  {
    await using running = await model.start();
    // Every transaction leaves a control record, a hole in the offsets that is no loss.
    for (let id = 1; id <= 5; id += 1) await model.send('orders', [upsert('orders', order(id, 1))]);
    await model.caughtUp();
    void running;
  }
  await model.read.query(`UPDATE model.applied_offsets SET next_offset = 1000 WHERE topic LIKE '%.orders'`);
  await using running = await model.start();
  const { code, cause } = await haltOf(model);
  assert.equal(code, 'READ_MODEL_TOPIC_REPLACED');
  assert.match(cause, /partition 0 ends at offset 10, but offset 1000 is applied/);
  await model.send('customers', [upsert('customers', customer(1))]);
  await eventually(
    () => model.read.query('SELECT id FROM model.customers'),
    (rows) => rows.length === 1,
  );
  void running;
});

test(
  'events that Kafka deleted before they were applied are a loss that is named, not a hole, and ends no other table; the remedy works',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1 });
    {
      await using running = await model.start();
      await model.send('orders', [upsert('orders', order(1, 1))]);
      await model.caughtUp();
      void running;
    }
    for (let id = 2; id <= 5; id += 1) await model.send('orders', [upsert('orders', order(id, 1))]);
    await deleteRecords(model.topic('orders'), 0, 6n);
    await using running = await model.start();
    const { code, cause, remedy } = await haltOf(model);
    assert.equal(code, 'READ_MODEL_EVENTS_LOST');
    assert.match(cause, /orders, partition 0: offset 2 is to be applied next, but Kafka now begins at offset 6/);
    await model.send('customers', [upsert('customers', customer(1))]);
    await eventually(
      () => model.read.query('SELECT id FROM model.customers'),
      (rows) => rows.length === 1,
    );
    // A new snapshot, then what the remedy says.
    for (let id = 1; id <= 5; id += 1) await model.send('orders', [upsert('orders', order(id, 1), 'r')]);
    await executeCommands(model.config, remedy);
    await model.send('orders', [upsert('orders', order(6, 1))]);
    await eventually(
      () => model.read.query('SELECT id FROM model.orders ORDER BY id'),
      (rows) => rows.map(({ id }) => id).join() === '1,2,3,4,5,6',
    );
    void running;
  },
);
