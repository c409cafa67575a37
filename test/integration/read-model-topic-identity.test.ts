import assert from 'node:assert/strict';
import { test } from 'node:test';

import { partitionStatus } from '#test/support/read-model-status.ts';
import { customer, order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { executeCommands } from '#test/support/remedy-commands.ts';

/** An offset means something in the topic only that it was taken from: one of the same name that was made again has another id. */

const spec = (model: ReadModelFixture, table: string) => ({ topic: model.topic(table), partitions: 1, replicationFactor: 1 });

async function remake(model: ReadModelFixture, table: string): Promise<void> {
  const topic = model.topic(table);
  await model.admin.deleteTopics([topic]);
  await eventually(
    () => model.admin.topicIds([topic]),
    (ids) => ids.size === 0,
  );
  await model.admin.ensureTopics([spec(model, table)]);
}

async function sendOrders(model: ReadModelFixture, count: number, first = 1, status = 'new'): Promise<void> {
  await model.send(
    'orders',
    Array.from({ length: count }, (_, index) => upsert('orders', order(first + index, 1, status), 'r')),
  );
}

const halts = async (model: ReadModelFixture) =>
  (await partitionStatus(model.config)).flatMap(({ topic, partition, halted }) =>
    halted === null ? [] : [{ topic, partition, ...halted }],
  );

const ordersOf = async (model: ReadModelFixture, status: string): Promise<number> =>
  Number((await model.read.query('SELECT count(*) AS count FROM model.orders WHERE status = $1', [status]))[0]?.['count']);

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(
    `${client}: a topic made again while the model was stopped is refused, though it is longer than the position; others go on; the remedy works`,
    { timeout: 240_000 },
    async () => {
      await using model = await createReadModel({ partitions: 1, client });
      {
        await using running = await model.start();
        await sendOrders(model, 500);
        await model.caughtUp();
        void running;
      }
      await remake(model, 'orders');
      await sendOrders(model, 800, 1, 'again');
      await using running = await model.start();
      const [halt, ...more] = await eventually(
        () => halts(model),
        (found) => found.length > 0,
      );
      assert.ok(halt);
      assert.deepEqual(more, []);
      assert.equal(halt.code, 'READ_MODEL_TOPIC_REPLACED');
      assert.ok(halt.cause.includes(`topic ${model.topic('orders')}, partition 0 is another one`), halt.cause);
      await model.send('customers', [upsert('customers', customer(1))]);
      await eventually(
        () => model.read.query('SELECT id FROM model.customers'),
        (rows) => rows.length === 1,
      );
      assert.equal(await ordersOf(model, 'again'), 0);
      await executeCommands(model.config, halt.remedy);
      assert.equal(await ordersOf(model, 'again'), 800);
      await sendOrders(model, 1, 801, 'last');
      await eventually(
        () => ordersOf(model, 'last'),
        (count) => count === 1,
      );
      assert.deepEqual(await halts(model), []);
      void running;
    },
  );

  test(
    `${client}: a topic made again under a running model is noticed, and halts by name instead of going on at its old offset`,
    { timeout: 240_000 },
    async () => {
      await using model = await createReadModel({ partitions: 1, client });
      await using running = await model.start();
      await sendOrders(model, 20);
      await model.caughtUp();
      await remake(model, 'orders');
      await sendOrders(model, 50, 1, 'again');
      const [halt] = await eventually(
        () => halts(model),
        (found) => found.length > 0,
        120_000,
      );
      assert.equal(halt?.code, 'READ_MODEL_TOPIC_REPLACED');
      await model.send('customers', [upsert('customers', customer(1))]);
      await eventually(
        () => model.read.query('SELECT id FROM model.customers'),
        (rows) => rows.length === 1,
        120_000,
      );
      void running;
    },
  );
}

test('a position of an earlier program takes the id of the topic that is there', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await sendOrders(model, 5);
  {
    await using running = await model.start();
    await model.caughtUp();
    void running;
  }
  await model.read.query('UPDATE model.applied_offsets SET topic_id = NULL');
  {
    await using running = await model.start();
    await sendOrders(model, 5, 6);
    await model.caughtUp();
    void running;
  }
  const topic = model.topic('orders');
  const ids = await model.admin.topicIds([topic]);
  assert.deepEqual(await model.read.query('SELECT topic_id FROM model.applied_offsets WHERE topic = $1', [topic]), [
    { topic_id: ids.get(topic) },
  ]);
  assert.equal(await ordersOf(model, 'new'), 10);
});

test('a position without an id is refused where the topic ends before it', { timeout: 150_000 }, async () => {
  await using model = await createReadModel({ partitions: 1 });
  await sendOrders(model, 5);
  {
    await using running = await model.start();
    await model.caughtUp();
    void running;
  }
  await model.read.query('UPDATE model.applied_offsets SET topic_id = NULL');
  await remake(model, 'orders');
  await using running = await model.start();
  const [halt] = await eventually(
    () => halts(model),
    (found) => found.length > 0,
  );
  assert.deepEqual([halt?.code, halt?.topic], ['READ_MODEL_TOPIC_REPLACED', model.topic('orders')]);
  assert.match(halt?.cause ?? '', /ends at offset 0, but offset \d+ is applied/);
  void running;
});

test(
  'consistency transaction: a topic made again stops the model before anything of it is applied, by name',
  { timeout: 150_000 },
  async () => {
    await using model = await createReadModel({ partitions: 1, settings: { consistency: 'transaction' } });
    const boundary = `${model.prefix}.transaction`;
    await model.admin.ensureTopics([{ topic: boundary, partitions: 1, replicationFactor: 1 }]);
    try {
      {
        await using running = await model.start();
        await sendOrders(model, 5);
        await model.caughtUp();
        void running;
      }
      await remake(model, 'orders');
      await sendOrders(model, 20, 1, 'again');
      await using running = await model.start();
      const [halt] = await eventually(
        () => halts(model),
        (found) => found.length > 0,
      );
      assert.equal(halt?.code, 'READ_MODEL_TOPIC_REPLACED');
      assert.equal(await ordersOf(model, 'again'), 0);
      void running;
    } finally {
      await model.admin.deleteTopics([boundary]);
    }
  },
);
