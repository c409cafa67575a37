import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDecoder } from '#change-events/index.ts';
import type { ConsumedBatch, Kafka } from '#kafka/index.ts';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { inTransaction, openPool } from '#read-model/database.ts';
import { loadMirrors } from '#read-model/mirror-catalogue.ts';
import { orderView } from '#read-model/order-view.ts';
import { runModel } from '#read-model/run-model.ts';
import { order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel } from '#test/support/read-model.ts';

/** A client that hands over the first five messages of its first long batch, and goes on behind its end. */
function skippingOnce(kafka: Kafka, onSkip: () => void): Kafka {
  let skipped: ConsumedBatch | null = null;
  return {
    ...kafka,
    consumer: (options) =>
      kafka.consumer({
        ...options,
        onBatch: async (batch, control) => {
          const sixth = batch.messages[5];
          if (skipped !== null || sixth === undefined) return options.onBatch(batch, control);
          skipped = batch;
          onSkip();
          return options.onBatch({ ...batch, messages: batch.messages.slice(0, 5), nextOffset: sixth.offset }, control);
        },
        onProgress: (topic, partition, nextOffset) => {
          if (topic === skipped?.topic && nextOffset === skipped.nextOffset) return;
          options.onProgress?.(topic, partition, nextOffset);
        },
      }),
  };
}

test('a client that goes on behind messages it never handed over is sent back: nothing is passed over in silence', async () => {
  await using model = await createReadModel({ partitions: 1 });
  await model.send(
    'orders',
    Array.from({ length: 20 }, (_, index) => upsert('orders', order(index + 1, 1))),
  );
  const rows = async (): Promise<number> => {
    const [row] = await model.read.query('SELECT count(*)::text AS rows FROM model.orders');
    return Number(row?.['rows']);
  };
  const pool = openPool(postgresClientConfig(model.read.config, model.read.config, 'test model'), silentLogger, 4);
  const stop = new AbortController();
  const mirrors = await inTransaction(pool, model.schema, (client) => loadMirrors(client, model.schema));
  let skips = 0;
  const run = runModel(
    {
      schema: model.schema,
      projections: [orderView],
      decoder: eventDecoder(undefined),
      topicPrefix: model.prefix,
      groupId: model.groupId,
      mirrors,
      consistency: 'row',
      bufferBytes: 2 ** 20,
      kafka: skippingOnce(model.kafka, () => {
        skips += 1;
      }),
      admin: model.admin,
      pool,
      logger: silentLogger,
    },
    stop.signal,
  );
  try {
    await eventually(rows, (count) => count >= 5);
    await model.send('orders', [upsert('orders', order(21, 1))]);
    await model.caughtUp();
  } finally {
    stop.abort();
    await run;
    await pool.end();
  }
  assert.equal(skips, 1);
  assert.equal(await rows(), 21);
});
