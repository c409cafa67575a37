import { connectKafka, type Kafka, type KafkaAdmin } from '#kafka/index.ts';
import { CdcError, postgresClientConfig, type Logger, type PipelineConfig, type ReadModelConfig } from '#pipeline/index.ts';
import type { ClientConfig } from 'pg';
import { inTransaction, openPool } from './database.ts';
import { requireMigrated, unreachable } from './migrate.ts';
import { loadMirrors } from './mirror-catalogue.ts';
import { orderView } from './order-view.ts';
import { isRetryable, retrying } from './retry.ts';
import { runModel } from './run-model.ts';

export type ReadModelOptions = {
  readonly config: PipelineConfig;
  /** Names of config.readModel.models; all of them when left out. */
  readonly models?: readonly string[] | undefined;
  readonly logger: Logger;
  /** Aborting it stops the read model as disposing does. */
  readonly signal: AbortSignal;
};

export type RunningReadModel = AsyncDisposable & {
  /** Resolves when the read model has stopped; rejects with the CdcError that stopped one of its models (the others stop too). */
  readonly closed: Promise<void>;
};

/**
 * Keeps read models in sync with their topics until disposed or aborted. Resolves when the database has answered and every model's
 * schema is there; topics may come later.
 *
 * @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, READ_DB_UNREACHABLE (a login that is refused; a server that is
 *   down is waited for), KAFKA_UNREACHABLE (when kafka.whenUnavailable is `exit`)
 */
export async function startReadModel({ config, models, logger, signal }: ReadModelOptions): Promise<RunningReadModel> {
  const readModel = requireReadModel(config);
  const database = readDatabaseConfig(readModel);
  const stopping = new AbortController();
  const until = AbortSignal.any([signal, stopping.signal]);
  const kafka = connectKafka(config.kafka, logger);
  const admin = await openAdmin(kafka, config, logger, until);
  const runs: Promise<void>[] = [];
  const stack = new AsyncDisposableStack();
  stack.use(admin);
  try {
    for (const schema of selectModels(readModel, models)) {
      const { topicPrefix, groupId } = requireModel(readModel, schema);
      const log = logger.child({ model: schema });
      const pool = openPool(database, log);
      stack.defer(() => pool.end());
      const mirrors = await waitForSchema(database, schema, log, until);
      runs.push(runModel({ schema, projections: [orderView], topicPrefix, groupId, mirrors, kafka, admin, pool, logger: log }, until));
    }
  } catch (error) {
    stopping.abort();
    await Promise.allSettled(runs);
    await stack.disposeAsync();
    throw error;
  }
  const closed = finish(runs, stopping, stack);
  closed.catch(() => undefined);
  return {
    closed,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await closed.catch(() => undefined);
    },
  };
}

/** Stops all models when one fails, then lets go of the connections. */
async function finish(runs: readonly Promise<void>[], stopping: AbortController, stack: AsyncDisposableStack): Promise<void> {
  try {
    await Promise.all(runs);
  } finally {
    stopping.abort();
    await Promise.allSettled(runs);
    await stack.disposeAsync();
  }
}

async function openAdmin(kafka: Kafka, config: PipelineConfig, logger: Logger, signal: AbortSignal): Promise<KafkaAdmin> {
  if (config.kafka.whenUnavailable === 'exit') return kafka.admin();
  return retrying('connecting to Kafka', logger, signal, () => kafka.admin());
}

async function waitForSchema(database: ClientConfig, schema: string, logger: Logger, signal: AbortSignal): ReturnType<typeof loadMirrors> {
  const pool = openPool(database, logger, 1);
  try {
    return await retrying('connecting to the read database', logger, signal, async () => {
      await requireMigrated(pool, schema);
      return inTransaction(pool, schema, (client) => loadMirrors(client, schema));
    });
  } catch (error) {
    throw error instanceof CdcError || isRetryable(error) || signal.aborted ? error : unreachable(database, error);
  } finally {
    await pool.end();
  }
}

export function requireReadModel(config: PipelineConfig): ReadModelConfig {
  if (config.readModel === undefined) throw new CdcError('READ_MODEL_NOT_CONFIGURED', 'the configuration has no section readModel');
  return config.readModel;
}

/** The models that a command means: those it names, or all. @throws CdcError READ_MODEL_NOT_CONFIGURED */
export function selectModels(readModel: ReadModelConfig, models: readonly string[] | undefined): readonly string[] {
  const selected = models === undefined || models.length === 0 ? Object.keys(readModel.models) : models;
  for (const model of selected) requireModel(readModel, model);
  return selected;
}

export function requireModel(readModel: ReadModelConfig, name: string): ReadModelConfig['models'][string] {
  const model = readModel.models[name];
  if (model !== undefined) return model;
  throw new CdcError(
    'READ_MODEL_NOT_CONFIGURED',
    `readModel.models has no ${name}; it has ${Object.keys(readModel.models).join(', ') || 'none'}`,
  );
}

/** The read database's connection as configured. */
export function readDatabaseConfig(readModel: ReadModelConfig): ClientConfig {
  return postgresClientConfig(readModel, readModel, 'cdc read-model');
}
