import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka, KafkaAdmin, OutgoingMessage } from '#kafka/index.ts';
import { boundaryTopic } from '#read-model/transactions/boundary.ts';
import { withConsumers } from '#test/support/kafka.ts';
import { customer, item, order, upsert } from '#test/support/order-events.ts';
import { eventually, type ReadRow } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { runWith } from '#test/support/run-model.ts';
import { uniqueName } from '#test/support/stack.ts';

/**
 * Consistency `transaction`: a transaction lacks events of a topic for good when that topic is read as far as it went when the transaction's END
 * was known. Not as far as it goes by now, or one that is written all the time is never read; not as far as it went before, or what is on its way counts as lost.
 */

/** The message as an event of the source transaction `7`. */
function ofTransaction({ value, ...message }: OutgoingMessage): OutgoingMessage {
  return { ...message, value: String(value).replace('"transaction":null', '"transaction":{"id":"7:42","total_order":1}') };
}

const [anOrder, anItem] = [upsert('orders', order(1, 1)), upsert('order_items', item(1, 1, 1))].map(ofTransaction);

/** It changed an order and an item. */
const endOfTransaction: OutgoingMessage = {
  key: null,
  value: JSON.stringify({
    status: 'END',
    id: '7:43',
    data_collections: ['public.orders', 'public.order_items'].map((name) => ({ data_collection: name, event_count: 1 })),
  }),
};

type Scene = AsyncDisposable & {
  readonly model: ReadModelFixture;
  send(topic: string, message: OutgoingMessage | undefined): Promise<void>;
  /** The rows there are, and how many transactions became visible in parts. */
  state(): Promise<ReadRow | undefined>;
};

async function createScene(): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const model = stack.use(await createReadModel({ partitions: 1 }));
  const topic = boundaryTopic(model.prefix);
  await model.admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
  stack.defer(() => model.admin.deleteTopics([topic]));
  const producer = stack.use(await model.kafka.transactionalProducer({ transactionalId: uniqueName('connector') }));
  return {
    model,
    async send(to, message) {
      assert.ok(message);
      const transaction = await producer.begin();
      await transaction.send(to, [message]);
      await transaction.commit();
    },
    state: async () =>
      (
        await model.read.query(
          `SELECT (SELECT count(*) FROM model.orders) AS orders, (SELECT count(*) FROM model.order_items) AS items, torn_transactions AS torn
             FROM model.model_version`,
        )
      )[0],
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A Kafka that reports when the reader knows the transaction's END, and keeps back what `isHeld` says. */
function observed(kafka: Kafka, boundary: string, onEnd: () => void, isHeld: (topic: string) => boolean = () => false): Kafka {
  return withConsumers(kafka, (options) => ({
    onBatch: async (batch, control) => {
      if (isHeld(batch.topic)) {
        control.seek(batch.fetchedFrom);
        control.pause(100);
        return;
      }
      await options.onBatch(batch, control);
      // Not before: the reader may still be taking its partitions, and asks how far they go for that too.
      if (batch.topic === boundary) onEnd();
    },
  }));
}

/** An admin that finds out how far `topic` goes, and does `then` before it says so. */
function askedAbout(admin: KafkaAdmin, topic: string, then: () => Promise<void>): KafkaAdmin {
  return {
    ...admin,
    offsetsOf: async (asked) => {
      const offsets = await admin.offsetsOf(asked);
      if (asked === topic) await then();
      return offsets;
    },
  };
}

suite('an event of a source transaction that does not come', { timeout: 300_000, concurrency: true }, () => {
  test('is given up, and reported, though its topic goes on being written', async () => {
    await using scene = await createScene();
    const { model } = scene;
    const [boundary, items] = [boundaryTopic(model.prefix), model.topic('order_items')];
    await using other = await model.kafka.transactionalProducer({ transactionalId: uniqueName('other') });
    let ended = false;
    let written = false;
    // From the first look on, the topic always goes further than it can be read.
    const admin = askedAbout(model.admin, items, async () => {
      if (!ended || written) return;
      written = true;
      await (await other.begin()).send(items, [upsert('order_items', item(2, 2, 1))]);
    });
    const kafka = observed(model.kafka, boundary, () => (ended = true));
    await using running = await runWith(model, kafka, { consistency: 'transaction', admin });
    await scene.send(model.topic('orders'), anOrder);
    await scene.send(boundary, endOfTransaction);
    await eventually(
      () => scene.state(),
      (state) => state?.['orders'] === '1' && state['torn'] === '1',
    );
    assert.ok(written);
    void running;
  });

  test('is waited for as long as what was in its topic when the END was known has not been read', async () => {
    await using scene = await createScene();
    const { model } = scene;
    const [boundary, items] = [boundaryTopic(model.prefix), model.topic('order_items')];
    const looked = Promise.withResolvers<void>();
    let ended = false;
    let held = true;
    const admin = askedAbout(model.admin, items, async () => {
      if (ended) looked.resolve();
    });
    const kafka = observed(
      model.kafka,
      boundary,
      () => (ended = true),
      (topic) => held && topic === items,
    );
    // What the topics hold at the start must not count: the events come later.
    await using running = await runWith(model, kafka, { consistency: 'transaction', admin });
    await scene.send(model.topic('customers'), upsert('customers', customer(1), 'r'));
    await eventually(
      () => model.read.query('SELECT id FROM model.customers'),
      (rows) => rows.length === 1,
    );
    await scene.send(items, anItem);
    await scene.send(model.topic('orders'), anOrder);
    await scene.send(boundary, endOfTransaction);
    await looked.promise;
    // The next look, at which it would be given up, is 2 s later, and says nothing.
    await delay(4500);
    assert.deepEqual(await scene.state(), { orders: '0', items: '0', torn: '0' });
    held = false;
    await eventually(
      () => scene.state(),
      (state) => state?.['orders'] === '1',
    );
    assert.deepEqual(await scene.state(), { orders: '1', items: '1', torn: '0' });
    void running;
  });
});
