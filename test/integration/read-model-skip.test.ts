import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Client } from 'pg';
import type { BatchControl, ConsumedBatch, ConsumerOptions, Kafka } from '#kafka/index.ts';
import { testKafka, withConsumers } from '#test/support/kafka.ts';
import { order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { runWith } from '#test/support/run-model.ts';
import { uniqueName } from '#test/support/stack.ts';

/** What a client does that hands over the first five messages of its first long batch only. */
type Skip = (batch: ConsumedBatch, options: ConsumerOptions, control: BatchControl) => void;

/** Goes on behind the batch, as if it had handed it over. */
const goesOn: Skip = () => undefined;

/** The same, and where it goes on it finds no message. */
const passes: Skip = ({ topic, partition, nextOffset }, options, control) =>
  options.onPassed?.({ topic, partition, from: nextOffset - 1n, to: nextOffset }, control);

function skippingOnce(kafka: Kafka, skip: Skip, onSkip: () => void): Kafka {
  let skipped = false;
  return withConsumers(kafka, (options) => ({
    onBatch: async (batch, control) => {
      const sixth = batch.messages[5];
      if (skipped || sixth === undefined) return options.onBatch(batch, control);
      skipped = true;
      await options.onBatch({ ...batch, messages: batch.messages.slice(0, 5), nextOffset: sixth.offset }, control);
      skip(batch, options, control);
      onSkip();
    },
  }));
}

async function rowsOf(model: ReadModelFixture): Promise<number> {
  const [row] = await model.read.query('SELECT count(*)::text AS rows FROM model.orders');
  return Number(row?.['rows']);
}

/** Twenty orders of which a client hands over five, and then one more. Gives how often it skipped, and how many rows there are in the end. */
async function applyWith(client: 'kafkajs' | 'platformatic', consistency: 'row' | 'transaction', skip: Skip): Promise<object> {
  await using model = await createReadModel({ partitions: 1 });
  await model.send(
    'orders',
    Array.from({ length: 20 }, (_, index) => upsert('orders', order(index + 1, 1))),
  );
  let skips = 0;
  const kafka = skippingOnce(await testKafka(client), skip, () => {
    skips += 1;
  });
  await using running = await runWith(model, kafka, { consistency });
  await eventually(
    async () => skips > 0 && (await rowsOf(model)) >= 5,
    (begun) => begun,
  );
  await model.send('orders', [upsert('orders', order(21, 1))]);
  await model.caughtUp();
  void running;
  return { skips, rows: await rowsOf(model) };
}

/** Tells of the first batch that was handed over, and of the control records that are passed after it. */
function observed(kafka: Kafka, onBatch: () => void, onPassed: () => void): Kafka {
  let handedOver = false;
  return withConsumers(kafka, (options) => ({
    onBatch: async (batch, control) => {
      await options.onBatch(batch, control);
      if (!handedOver) onBatch();
      handedOver = true;
    },
    onPassed: (passed, control) => {
      options.onPassed?.(passed, control);
      if (handedOver) onPassed();
    },
  }));
}

/** A mirror is about to be changed while orders are applied to it: they must be decoded again. Gives how many rows there are in the end. */
async function applyToChangedMirror(client: 'kafkajs' | 'platformatic'): Promise<number> {
  await using model = await createReadModel({ partitions: 1 });
  const [handedOver, passed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const kafka = observed(await testKafka(client), handedOver.resolve, passed.resolve);
  await using aborting = await model.kafka.transactionalProducer({ transactionalId: uniqueName('aborting') });
  const changing = new Client(model.read.owner);
  await changing.connect();
  try {
    await changing.query(`BEGIN; UPDATE model.mirrored_tables SET columns_version = columns_version + 1 WHERE mirror_table = 'orders'`);
    await using running = await runWith(model, kafka, { consistency: 'row' });
    await model.send('orders', [upsert('orders', order(1, 1)), upsert('orders', order(2, 1))]);
    await handedOver.promise;
    const aborted = await aborting.begin();
    await aborted.send(model.topic('orders'), [upsert('orders', order(3, 1))]);
    await aborted.abort();
    await passed.promise;
    assert.equal(await rowsOf(model), 0, 'the batch is on its way');
    await changing.query('COMMIT');
    await model.caughtUp();
    void running;
  } finally {
    await changing.end();
  }
  return rowsOf(model);
}

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(
    `a partition goes on when control records were passed while a batch of it was on its way that was then refused (${client})`,
    { timeout: 60_000 },
    async () => {
      assert.equal(await applyToChangedMirror(client), 2);
    },
  );

  for (const consistency of ['row', 'transaction'] as const) {
    suite(`${client}, consistency: ${consistency}`, () => {
      test('a client that goes on behind messages it never handed over is sent back', { timeout: 150_000 }, async () => {
        assert.deepEqual(await applyWith(client, consistency, goesOn), { skips: 1, rows: 21 });
      });

      test('control records behind messages that were never handed over move no position', { timeout: 150_000 }, async () => {
        assert.deepEqual(await applyWith(client, consistency, passes), { skips: 1, rows: 21 });
      });
    });
  }
}
