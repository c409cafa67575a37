import { eventDecoder } from '#change-events/index.ts';
import type { Kafka } from '#kafka/index.ts';
import { pino } from 'pino';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { inTransaction, openPool } from '#read-model/database.ts';
import { loadMirrors } from '#read-model/mirrors/mirror-catalogue.ts';
import { loadProjections } from '#read-model/views/stored-projections.ts';
import { runModel, type ModelRun } from '#read-model/run-model.ts';
import type { ReadModelFixture } from './read-model.ts';

export type TestModelRun = AsyncDisposable & {
  /** Rejects with what ended it: whoever waits for what the model applies must not wait for one that is over. */
  readonly ended: Promise<void>;
  /** What it has logged so far: JSON lines. */
  readonly log: () => string;
};

/** Runs the model's consumer in this process over a Kafka of one's own, until disposed. */
export async function runWith(model: ReadModelFixture, kafka: Kafka, settings: Partial<ModelRun> = {}): Promise<TestModelRun> {
  const pool = openPool(postgresClientConfig(model.read.config, model.read.config, 'test model'), silentLogger, 4);
  const stop = new AbortController();
  const mirrors = await inTransaction(pool, model.schema, (client) => loadMirrors(client, model.schema));
  let log = '';
  const logger = pino({ level: 'info' }, { write: (line: string) => void (log += line) });
  const run = runModel(
    {
      schema: model.schema,
      ...(await loadProjections(pool, model.schema)),
      decoder: eventDecoder(undefined),
      topicPrefix: model.prefix,
      groupId: model.groupId,
      mirrors,
      consistency: 'row',
      bufferBytes: 2 ** 20,
      kafka,
      admin: model.admin,
      pool,
      logger,
      ...settings,
    },
    stop.signal,
  );
  run.catch(() => undefined);
  return {
    ended: run,
    log: () => log,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await run;
      await pool.end();
    },
  };
}
