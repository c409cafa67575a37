import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { OutgoingMessage } from '#kafka/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { StalePositionError } from '#read-model/apply/positions.ts';
import { createCopyTrials } from '#read-model/mirrors/copy-trials.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { customer, item, order, product, remove, upsert } from '#test/support/order-events.ts';
import { assertViewIsTrue } from '#test/support/read-model-truth.ts';

const rows = 300;

function creates(from: number, count: number, status: string, op: 'c' | 'r' = 'c'): OutgoingMessage[] {
  return Array.from({ length: count }, (_, index) => upsert('orders', order(from + index, 1, status), op));
}

function statuses(direct: DirectModel): Promise<unknown> {
  return direct.read.query('SELECT status, count(*) FROM model.orders GROUP BY status ORDER BY status');
}

test('a row that is there already, in the middle of a batch of new ones: the whole batch is applied, once, and its positions move', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  await direct.place('customers');
  await commitBatches(direct.pool, direct.model, [direct.batch('orders', 0, [upsert('orders', order(150, 1, 'old'))])]);
  const orders = direct.batch('orders', 1, creates(1, rows, 'new'));
  const customers = direct.batch('customers', 0, [upsert('customers', customer(1))]);
  await commitBatches(direct.pool, direct.model, [orders, customers]);
  assert.deepEqual(direct.copies, [true, true, false]);
  assert.deepEqual(await statuses(direct), [{ status: 'new', count: String(rows) }]);
  await assertViewIsTrue(direct.read, 'model');
  assert.deepEqual(await direct.read.query('SELECT topic, next_offset FROM model.applied_offsets ORDER BY topic'), [
    { topic: 'customers', next_offset: '1' },
    { topic: 'orders', next_offset: String(rows + 1) },
  ]);
  assert.deepEqual(await direct.read.query('SELECT sum(events) AS events FROM model.apply_log'), [{ events: String(rows + 2) }]);
});

test('a batch that comes twice is refused by its position; a snapshot that is taken again overwrites', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  const first = direct.batch('orders', 0, creates(1, rows, 'new'));
  await commitBatches(direct.pool, direct.model, [first]);
  await assert.rejects(commitBatches(direct.pool, direct.model, [first]), StalePositionError);
  assert.deepEqual(direct.copies, [true]);
  await commitBatches(direct.pool, direct.model, [direct.batch('orders', rows, creates(1, rows, 'read', 'r'))]);
  assert.deepEqual(direct.copies, [true, false]);
  assert.deepEqual(await statuses(direct), [{ status: 'read', count: String(rows) }]);
  await assertViewIsTrue(direct.read, 'model');
});

test('a row that its table refuses is parked alone out of a batch that was to be copied, and its later events behind it', async () => {
  await using direct = await createDirectModel();
  await direct.read.query(`ALTER TABLE model.orders ADD CONSTRAINT refuse CHECK (status <> 'bad')`);
  await direct.place('orders');
  const model = { ...direct.model, parkMost: 10 };
  const messages = [
    ...creates(1, 100, 'new'),
    upsert('orders', order(500, 1, 'bad')),
    ...creates(101, 100, 'new'),
    upsert('orders', order(501, 1, 'new')),
  ];
  await assert.rejects(commitBatches(direct.pool, model, [direct.batch('orders', 0, messages)]), /refuse/);
  assert.deepEqual(await statuses(direct), []);
  await commitBatches(direct.pool, model, [direct.batch('orders', 0, messages)], { parkFailing: true });
  assert.deepEqual(await statuses(direct), [{ status: 'new', count: '201' }]);
  const more = [upsert('orders', order(500, 1, 'behind'), 'u'), ...creates(601, 50, 'new')];
  await commitBatches(direct.pool, model, [direct.batch('orders', messages.length, more)]);
  const parked = await direct.read.query('SELECT event_offset, code FROM model.parked_events ORDER BY event_offset');
  assert.deepEqual(parked, [
    { event_offset: '100', code: 'READ_MODEL_EVENT_INAPPLICABLE' },
    { event_offset: String(messages.length), code: 'BEHIND' },
  ]);
  assert.deepEqual(await statuses(direct), [{ status: 'new', count: '251' }]);
  await assertViewIsTrue(direct.read, 'model');
});

test('within one batch: created and changed, created and deleted, deleted and created again, changed only', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  await commitBatches(direct.pool, direct.model, [
    direct.batch('orders', 0, [upsert('orders', order(3, 1)), upsert('orders', order(4, 1))]),
  ]);
  const batch = [
    upsert('orders', order(1, 1, 'created')),
    upsert('orders', order(1, 1, 'changed'), 'u'),
    upsert('orders', order(2, 1, 'created')),
    ...remove('orders', 2),
    ...remove('orders', 3),
    upsert('orders', order(3, 1, 'again')),
    upsert('orders', order(4, 1, 'updated'), 'u'),
  ];
  await commitBatches(direct.pool, direct.model, [direct.batch('orders', 2, batch)]);
  // Only the row that is new by all that the batch has was copied: no trial failed.
  assert.deepEqual(direct.copies, [true, true]);
  assert.deepEqual(await direct.read.query('SELECT id, status FROM model.orders ORDER BY id'), [
    { id: '1', status: 'changed' },
    { id: '3', status: 'again' },
    { id: '4', status: 'updated' },
  ]);
  await assertViewIsTrue(direct.read, 'model');
});

test('what is copied is what is upserted: any text, and nulls', async () => {
  const text = fc.string({ unit: fc.constantFrom('\\', '\t', '\n', '\r', '\b', '\v', 'N', '.', '"', ',', ' ', 'é', '😀', 'a', '0') });
  const notes = [...fc.sample(fc.option(text), { numRuns: rows, seed: 5 }), '', String.raw`\N`, String.raw`\.`, 'NULL'];
  const stored: unknown[] = [];
  for (const copies of [true, false]) {
    await using direct = await createDirectModel({ copies });
    await direct.place('orders');
    const messages = notes.map((note, index) => upsert('orders', { ...order(index + 1, 1), note }));
    await commitBatches(direct.pool, direct.model, [direct.batch('orders', 0, messages)]);
    assert.deepEqual(direct.copies, copies ? [true] : []);
    stored.push((await direct.read.query('SELECT note FROM model.orders ORDER BY id')).map(({ note }) => note));
  }
  assert.deepEqual(stored[0], notes);
  assert.deepEqual(stored[1], notes);
});

test('the view has what was copied, from whichever table', async () => {
  await using direct = await createDirectModel();
  for (const table of ['customers', 'products', 'orders', 'order_items']) await direct.place(table);
  const ids = Array.from({ length: 50 }, (_, index) => index + 1);
  await commitBatches(direct.pool, direct.model, [
    direct.batch(
      'order_items',
      0,
      ids.map((id) => upsert('order_items', item(id, 1 + (id % 20), 1 + (id % 5), id))),
    ),
    direct.batch('orders', 0, creates(1, 20, 'new')),
  ]);
  await assertViewIsTrue(direct.read, 'model');
  await commitBatches(direct.pool, direct.model, [
    direct.batch('customers', 0, [upsert('customers', customer(1))]),
    direct.batch(
      'products',
      0,
      [1, 2, 3, 4, 5].map((id) => upsert('products', product(id))),
    ),
  ]);
  assert.deepEqual(direct.copies, [true, true, true, true]);
  await assertViewIsTrue(direct.read, 'model');
});

test('of large batches whose rows are there already only the first is tried, then some go without a trial', async () => {
  await using direct = await createDirectModel();
  await direct.place('orders');
  const trials = createCopyTrials();
  const ended: boolean[] = [];
  const copyTrials = {
    ...trials,
    ended: (table: string, succeeded: boolean) => {
      ended.push(succeeded);
      trials.ended(table, succeeded);
    },
  };
  const model = { ...direct.model, copyTrials };
  for (let round = 0; round < 4; round += 1) {
    await commitBatches(direct.pool, model, [direct.batch('orders', round * rows, creates(1, rows, `round ${round}`, 'r'))]);
  }
  assert.deepEqual(ended, [true, false]);
  assert.deepEqual(await statuses(direct), [{ status: 'round 3', count: String(rows) }]);
});
