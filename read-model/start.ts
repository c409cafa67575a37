import { eventDecoder } from '#change-events/index.ts';
import { connectKafka, type Kafka, type KafkaAdmin } from '#kafka/index.ts';
import { CdcError, describeError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import type { ClientConfig, Pool } from 'pg';
import { inTransaction, openPool, unreachable } from './database.ts';
import { followFreshness } from './freshness/follow-freshness.ts';
import { requireMigrated } from './migrate.ts';
import { modelStates, type ModelState } from './monitoring/model-states.ts';
import { serveReadModel } from './monitoring/serve.ts';
import { loadMirrors } from './mirrors/mirror-catalogue.ts';
import type { Mirror } from './mirrors/mirror.ts';
import { untilOtherMirrors } from './mirrors/other-mirrors.ts';
import { readDatabaseConfig, requireModel, requireReadModel, selectModels } from './model-config.ts';
import { refillHaltedViews } from './rebuild/fill-views.ts';
import type { ProjectionFile } from './views/projection-file.ts';
import { fingerprintOf, loadProjections, type LoadedProjections } from './views/stored-projections.ts';
import { isRetryable, retrying } from './retry.ts';
import { runModel, type ModelRun } from './run-model.ts';
import { runSettings } from './run-settings.ts';
import { recordStop } from './faults/stops.ts';

export type ReadModelOptions = {
  readonly config: PipelineConfig;
  /** Names of config.readModel.models; all of them when left out. */
  readonly models?: readonly string[] | undefined;
  /** The projection files of a model as they are now: a model whose views were made by others says so in the log, and goes on with those. */
  readonly projectionsOf?: ((model: string) => Promise<readonly ProjectionFile[]>) | undefined;
  readonly logger: Logger;
  /** Aborting it stops the read model as disposing does. */
  readonly signal: AbortSignal;
};

export type RunningReadModel = AsyncDisposable & {
  /** Resolves when the read model has stopped; rejects then with the error that ended one of its models: the others had gone on. */
  readonly closed: Promise<void>;
};

/**
 * Keeps read models in sync with their topics until disposed or aborted. Resolves when the database has answered and the models' schemas
 * are there; topics may come later. No model ends another: one that cannot begin, or go on, is reported in the log and in the status, and the
 * others of the process go on. It throws when none can begin.
 *
 * @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED, READ_MODEL_PROJECTIONS_CHANGED, READ_DB_UNREACHABLE (a login that is refused; a server that is
 *   down is waited for), KAFKA_UNREACHABLE (when kafka.whenUnavailable is `exit`)
 */
export async function startReadModel({ config, models, projectionsOf, logger, signal }: ReadModelOptions): Promise<RunningReadModel> {
  const readModel = requireReadModel(config);
  const selected = selectModels(readModel, models);
  const database = readDatabaseConfig(readModel);
  const states = modelStates(selected);
  const stack = new AsyncDisposableStack();
  stack.use(await serveReadModel(config, states, logger));
  const stopping = new AbortController();
  const until = AbortSignal.any([signal, stopping.signal]);
  const kafka = connectKafka(config.kafka, logger);
  const decoder = eventDecoder(config.schemaRegistry);
  const admin = await openAdmin(kafka, config, logger, until).catch(async (error: unknown) => {
    await stack.disposeAsync();
    throw error;
  });
  stack.use(admin);
  const runs: Promise<void>[] = [];
  const failures: unknown[] = [];
  for (const schema of selected) {
    const settings = requireModel(readModel, schema);
    const onState = (state: ModelState): void => states.set(schema, state);
    const log = logger.child({ model: schema });
    const pool = openPool(database, log);
    stack.defer(() => pool.end());
    try {
      const loaded = await waitForSchema(database, schema, log, until);
      await recordStop(pool, schema, null);
      if (projectionsOf !== undefined && fingerprintOf(await projectionsOf(schema)) !== loaded.fingerprint) log.warn(filesDiffer(schema));
      const { groupId, clockAheadMs } = settings;
      const model = { ...runSettings(settings), schema, decoder, groupId, ...loaded, kafka, admin, pool, logger: log, onState };
      runs.push(
        runWhileTheyStay(
          model,
          () => waitForSchema(database, schema, log, until),
          (run, ending) => runWithFreshness(run, clockAheadMs, ending),
          until,
        ).finally(() => onState('ended')),
      );
    } catch (error) {
      onState('ended');
      if (until.aborted) failures.push(error);
      else failures.push(await reported(error, pool, schema, log));
    }
  }
  if (runs.length === 0 || until.aborted) {
    stopping.abort();
    await Promise.allSettled(runs);
    await stack.disposeAsync();
    throw failures[0] ?? until.reason;
  }
  const closed = finish(runs, failures, stopping, stack);
  closed.catch(() => undefined);
  return {
    closed,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await closed.catch(() => undefined);
    },
  };
}

function filesDiffer(schema: string): string {
  return `the projection files are not those that the views of ${schema} were made by, and are kept by. To bring the files in: cdc read-model rebuild --model ${schema} --switch`;
}

/** What a version is applied by. */
type Loaded = LoadedProjections & { readonly mirrors: readonly Mirror[] };

/**
 * Runs a model, and again with what it has then, whenever its mirrors are made, dropped or made otherwise (`cdc read-model migrate`), or another version
 * with other projections serves. Views that halt are tried again first.
 */
async function runWhileTheyStay(
  model: ModelRun,
  loadAgain: () => Promise<Loaded>,
  run: (model: ModelRun, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { pool, schema, logger } = model;
  for (let loaded: Loaded = model; ; loaded = await loadAgain()) {
    const ended = new AbortController();
    const others = new AbortController();
    const until = AbortSignal.any([signal, ended.signal]);
    const watching = untilOtherMirrors(pool, schema, loaded, until).then(
      () => others.abort(),
      () => undefined,
    );
    try {
      await retryHaltedViews({ ...model, ...loaded }, until);
      await run({ ...model, ...loaded }, AbortSignal.any([signal, others.signal]));
    } catch (error) {
      if (!(error instanceof CdcError) || error.code !== 'READ_MODEL_PROJECTIONS_CHANGED') throw error;
      others.abort();
    } finally {
      ended.abort();
      await watching;
    }
    if (signal.aborted || !others.signal.aborted) return;
    logger.info({ schema }, 'the mirrors or projections of the model are others now: reading them again');
  }
}

async function retryHaltedViews({ pool, schema, projections, logger }: ModelRun, signal: AbortSignal): Promise<void> {
  await retrying('making halted views again', logger, signal, () =>
    refillHaltedViews(pool, schema, projections, (projection, error) => {
      if (error === null) logger.info({ view: projection.name }, 'the view is made again, and goes on');
      else logger.error({ view: projection.name, code: error.code, remedy: error.remedy }, `the view halts: ${error.message}`);
    }),
  );
}

/** One model and its freshness, which ends with it. */
async function runWithFreshness(model: ModelRun, clockAheadMs: number, signal: AbortSignal): Promise<void> {
  const { schema, topicPrefix, decoder, kafka, admin, pool, logger } = model;
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  const tables = model.mirrors.map(({ source }) => source);
  const follower = followFreshness({ schema, topicPrefix, tables, clockAheadMs, decoder, kafka, admin, pool, logger }, until);
  try {
    await runModel(model, until);
  } catch (error) {
    throw await reported(error, pool, schema, logger);
  } finally {
    ended.abort();
    await follower.catch(() => undefined);
  }
}

/** The error, after it was made known that it ended a model. */
async function reported(error: unknown, pool: Pool, schema: string, logger: Logger): Promise<unknown> {
  const { code, remedy } = error instanceof CdcError ? error : { code: undefined, remedy: undefined };
  logger.error(
    { code, remedy, err: code === undefined ? error : undefined },
    `the read model ${schema} has ended: ${describeError(error)}`,
  );
  // A schema that is not migrated has no place for it.
  try {
    await recordStop(pool, schema, error);
  } catch (failed) {
    logger.warn({ reason: describeError(failed) }, 'it could not be made known in the database');
  }
  return error;
}

/** Waits until all models have ended, lets go of the connections, and throws what the first that failed failed with. */
async function finish(
  runs: readonly Promise<void>[],
  failures: readonly unknown[],
  stopping: AbortController,
  stack: AsyncDisposableStack,
): Promise<void> {
  const ended: unknown[] = [...failures];
  try {
    await Promise.all(runs.map((run) => run.catch((error: unknown) => void ended.push(error))));
  } finally {
    stopping.abort();
    await stack.disposeAsync();
  }
  if (ended.length > 0) throw ended[0];
}

async function openAdmin(kafka: Kafka, config: PipelineConfig, logger: Logger, signal: AbortSignal): Promise<KafkaAdmin> {
  if (config.kafka.whenUnavailable === 'exit') return kafka.admin();
  return retrying('connecting to Kafka', logger, signal, () => kafka.admin());
}

async function waitForSchema(database: ClientConfig, schema: string, logger: Logger, signal: AbortSignal): Promise<Loaded> {
  const pool = openPool(database, logger, 1);
  try {
    return await retrying('connecting to the read database', logger, signal, async () => {
      await requireMigrated(pool, schema);
      return inTransaction(pool, schema, async (client) => ({
        mirrors: await loadMirrors(client, schema),
        ...(await loadProjections(client, schema)),
      }));
    });
  } catch (error) {
    throw error instanceof CdcError || isRetryable(error) || signal.aborted ? error : unreachable(database, error);
  } finally {
    await pool.end();
  }
}
