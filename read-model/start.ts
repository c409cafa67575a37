import { eventDecoder } from '#change-events/index.ts';
import { connectKafka, type Kafka, type KafkaAdmin } from '#kafka/index.ts';
import { CdcError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import type { ClientConfig } from 'pg';
import { inTransaction, openPool } from './database.ts';
import { followFreshness } from './freshness/follow-freshness.ts';
import { requireMigrated, unreachable } from './migrate.ts';
import { loadMirrors } from './mirror-catalogue.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from './model-config.ts';
import { requireProjections } from './positions.ts';
import { projections } from './projections.ts';
import { isRetryable, retrying } from './retry.ts';
import { runModel } from './run-model.ts';
import { runSettings } from './run-settings.ts';

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
 * @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, READ_MODEL_PROJECTIONS_CHANGED, READ_DB_UNREACHABLE (a login that is refused; a server that is
 *   down is waited for), KAFKA_UNREACHABLE (when kafka.whenUnavailable is `exit`)
 */
export async function startReadModel({ config, models, logger, signal }: ReadModelOptions): Promise<RunningReadModel> {
  const readModel = requireReadModel(config);
  const database = readDatabaseConfig(readModel);
  const stopping = new AbortController();
  const until = AbortSignal.any([signal, stopping.signal]);
  const kafka = connectKafka(config.kafka, logger);
  const decoder = eventDecoder(config.schemaRegistry);
  const admin = await openAdmin(kafka, config, logger, until);
  const runs: Promise<void>[] = [];
  const followers: Promise<void>[] = [];
  const stack = new AsyncDisposableStack();
  stack.use(admin);
  try {
    for (const schema of selectModels(readModel, models)) {
      const settings = requireModel(readModel, schema);
      const log = logger.child({ model: schema });
      const pool = openPool(database, log);
      stack.defer(() => pool.end());
      const mirrors = await waitForSchema(database, schema, log, until);
      const model = { ...runSettings(settings), schema, projections, decoder, groupId: settings.groupId, mirrors };
      runs.push(runModel({ ...model, kafka, admin, pool, logger: log }, until));
      const tables = mirrors.map(({ source }) => source);
      const { topicPrefix, groupId } = settings;
      followers.push(followFreshness({ schema, topicPrefix, groupId, tables, decoder, kafka, admin, pool, logger: log }, until));
    }
  } catch (error) {
    stopping.abort();
    await Promise.allSettled([...runs, ...followers]);
    await stack.disposeAsync();
    throw error;
  }
  const closed = finish(runs, followers, stopping, stack);
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
async function finish(
  runs: readonly Promise<void>[],
  followers: readonly Promise<void>[],
  stopping: AbortController,
  stack: AsyncDisposableStack,
): Promise<void> {
  try {
    await Promise.all(runs);
  } finally {
    stopping.abort();
    await Promise.allSettled([...runs, ...followers]);
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
      await requireProjections(pool, schema);
      return inTransaction(pool, schema, (client) => loadMirrors(client, schema));
    });
  } catch (error) {
    throw error instanceof CdcError || isRetryable(error) || signal.aborted ? error : unreachable(database, error);
  } finally {
    await pool.end();
  }
}
