import { eventDecoder } from '#change-events/index.ts';
import type { Kafka } from '#kafka/index.ts';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { inTransaction, openPool } from '#read-model/database.ts';
import { loadMirrors } from '#read-model/mirror-catalogue.ts';
import { orderView } from '#read-model/order-view.ts';
import { runModel, type ModelRun } from '#read-model/run-model.ts';
import type { ReadModelFixture } from './read-model.ts';

/** Runs the model's consumer in this process over a Kafka of one's own, until disposed. */
export async function runWith(model: ReadModelFixture, kafka: Kafka, settings: Partial<ModelRun> = {}): Promise<AsyncDisposable> {
  const pool = openPool(postgresClientConfig(model.read.config, model.read.config, 'test model'), silentLogger, 4);
  const stop = new AbortController();
  const mirrors = await inTransaction(pool, model.schema, (client) => loadMirrors(client, model.schema));
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
      kafka,
      admin: model.admin,
      pool,
      logger: silentLogger,
      ...settings,
    },
    stop.signal,
  );
  run.catch(() => undefined);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await run;
      await pool.end();
    },
  };
}
