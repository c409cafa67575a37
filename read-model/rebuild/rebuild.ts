import { setTimeout as delay } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import { eventDecoder } from '#change-events/index.ts';
import { connectKafka, type Kafka, type KafkaAdmin } from '#kafka/index.ts';
import { atMost, CdcError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { inTransaction, openPool, queryText, qualified } from '../database.ts';
import { cutBeginnings, cutText } from '../consume/beginnings.ts';
import { loadMirrors } from '../mirrors/mirror-catalogue.ts';
import { migrate } from '../migrate.ts';
import { readDatabaseConfig, requireModel, requireReadModel } from '../model-config.ts';
import { makeViews } from '../views/make-views.ts';
import type { ProjectionFile } from '../views/projection-file.ts';
import { fingerprintOf, loadProjections, storedFiles } from '../views/stored-projections.ts';
import { retrying } from '../retry.ts';
import { runModel } from '../run-model.ts';
import { runSettings } from '../run-settings.ts';
import { catchUp, fillingOf, type RebuildProgress } from './catch-up.ts';
import { fillViews } from './fill-views.ts';
import { switchTo } from './switch.ts';
import { dependantsOf, refuseDependants } from './dependants.ts';
import { copyDefaultGrants, copyGrants, copyMirrors, dropVersion, listVersions, versionSchema, type ModelVersion } from './versions.ts';

export type RebuildOptions = {
  readonly config: PipelineConfig;
  readonly model: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The projection files that the next version's views are made by; left out, those of the serving one. */
  readonly projections?: readonly ProjectionFile[] | undefined;
  /** Fill from what the topics still hold, though their beginnings are deleted. */
  readonly fromRetained?: boolean | undefined;
  /** Drop what users have made on a version with it. */
  readonly force?: boolean | undefined;
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
  /** Called at each failed try with whom the making or dropping of a version waits for. */
  readonly onWait?: ((what: string) => void) | undefined;
};

/**
 * Fills a new version of a model from the beginning of its topics while the old one serves, and with `thenSwitch` lets it serve when it
 * has caught up. What an earlier call has filled is gone on with. Gives the version.
 *
 * @throws CdcError READ_MODEL_EVENTS_LOST when the topics do not reach back to their beginning (see docs/read-model.md), and what a
 *   consumer throws; READ_MODEL_VERSION_IN_USE when an unfinished version of other projections would have to go, and is used
 */
export async function rebuild(options: RebuildOptions, thenSwitch: boolean): Promise<number> {
  return withServers(options, async (servers) => {
    const { pool, schema } = servers;
    const versions = await listVersions(pool, schema);
    const serving = servingOf(versions, schema);
    const candidate = versions.find(({ version }) => version > serving.version);
    const files = options.projections ?? (await storedFiles(pool, schema));
    // Made by other projections than are asked for: of no use.
    const resumed = candidate?.projections === fingerprintOf(files);
    if (candidate !== undefined && !resumed) await dropVersion(pool, candidate.schema, options);
    if (!resumed && options.fromRetained !== true) await requireBeginnings(options, servers);
    const version = resumed && candidate !== undefined ? candidate.version : serving.version + 1;
    const name = versionSchema(schema, version);
    await migrate(readDatabaseConfig(requireReadModel(options.config)), {
      schema: name,
      rebuild: { version },
      onWait: options.onWait,
      signal: options.signal,
    });
    await copyDefaultGrants(pool, schema, name);
    await copyMirrors(pool, schema, name);
    await inTransaction(pool, name, (client) => makeViews(client, files));
    await copyGrants(pool, schema, name);
    await bringUp(options, servers, name, version, thenSwitch);
    return version;
  });
}

/** Lets the newest version before the serving one serve again, when it has caught up. @throws CdcError READ_MODEL_VERSION_MISSING */
export async function switchBack(options: RebuildOptions): Promise<number> {
  return withServers(options, async (servers) => {
    const versions = await listVersions(servers.pool, servers.schema);
    const serving = servingOf(versions, servers.schema);
    const previous = versions.findLast(({ version }) => version < serving.version);
    if (previous === undefined) throw missing(servers.schema, 'no version before the one that serves');
    await bringUp(options, servers, previous.schema, previous.version, true);
    return previous.version;
  });
}

/**
 * Drops versions that do not serve: the candidate, or those before the serving one. Gives their numbers.
 *
 * @throws CdcError READ_MODEL_VERSION_IN_USE, without `force`: nothing is dropped then
 */
export async function dropVersions(options: RebuildOptions, which: 'candidate' | 'previous'): Promise<readonly number[]> {
  return withServers(options, async ({ pool, schema }) => {
    const versions = await listVersions(pool, schema);
    const serving = servingOf(versions, schema);
    const chosen = versions.filter(({ version }) => (which === 'candidate' ? version > serving.version : version < serving.version));
    if (options.force !== true) for (const { schema: name } of chosen) refuseDependants(name, await dependantsOf(pool, name));
    for (const { schema: name } of chosen) await dropVersion(pool, name, options);
    return chosen.map(({ version }) => version);
  });
}

type Servers = { readonly pool: Pool; readonly kafka: Kafka; readonly admin: KafkaAdmin; readonly schema: string };

async function withServers<T>({ config, model, logger }: RebuildOptions, work: (servers: Servers) => Promise<T>): Promise<T> {
  requireModel(requireReadModel(config), model);
  const pool = openPool(readDatabaseConfig(requireReadModel(config)), logger);
  const kafka = connectKafka(config.kafka, logger);
  try {
    await using admin = await kafka.admin();
    return await work({ pool, kafka, admin, schema: model });
  } finally {
    await pool.end();
  }
}

/** Consumes into the version until it has caught up, in two steps: mirrors alone, then with views; then switches if asked to. */
async function bringUp(options: RebuildOptions, servers: Servers, schema: string, version: number, thenSwitch: boolean): Promise<void> {
  const { pool } = servers;
  const { projections } = await loadProjections(pool, schema);
  const filled = (await queryText(pool, `SELECT views_filled FROM ${qualified(schema, 'model_version')}`))[0]?.[0] === 't';
  let sums = { applied: 0n, end: 0n };
  const noting: RebuildOptions = {
    ...options,
    onProgress: (progress) => {
      sums = progress;
      options.onProgress?.(progress);
    },
  };
  const report = (waitsFor: string): void => options.onProgress?.({ version, ...sums, waitsFor });
  const onWait = (waitsFor: string): void => {
    options.logger.info({ schema }, `the version waits for ${waitsFor}`);
    report(waitsFor);
  };
  if (!filled) {
    await consuming(options, servers, { schema, version, withViews: false }, () => caughtUp(noting, servers, schema, version));
    await reportingDuring(
      () => report('its views, which are made now'),
      () => fillViews(pool, schema, projections, { onWait, signal: options.signal }),
    );
  }
  await consuming(options, servers, { schema, version, withViews: true }, async (stop) => {
    await caughtUp(noting, servers, schema, version);
    if (!thenSwitch) return;
    for (let tries = 1; ; tries += 1) {
      const behind = await switchTo(pool, servers.schema, schema, {
        beforeCommit: stop,
        onProgress: report,
        onWait,
        signal: options.signal,
      });
      if (behind === null) return;
      if (tries > levelTries) {
        throw new CdcError(
          'READ_MODEL_NOT_LEVEL',
          `version ${version} of read model ${servers.schema} stays behind the one that serves, in ${tries} tries: ${behind}`,
        );
      }
      options.logger.info({ schema, tries, behind }, 'not level with the serving version yet; trying again');
      await caughtUp(noting, servers, schema, version);
    }
  });
}

const reportEveryMs = 2000;

/** Reports now, and every two seconds while `work` runs. */
async function reportingDuring<T>(report: () => void, work: () => Promise<T>): Promise<T> {
  report();
  const timer = setInterval(report, reportEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Runs a consumer of its own group into `schema` while `work` runs; `work` may end it earlier. */
async function consuming(
  { config, logger, signal }: RebuildOptions,
  { pool, kafka, admin, schema: model }: Servers,
  { schema, version, withViews }: { readonly schema: string; readonly version: number; readonly withViews: boolean },
  work: (stop: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const settings = requireModel(requireReadModel(config), model);
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  const { mirrors, projections, fingerprint } = await retrying('reading the mirrors', logger, signal, () =>
    inTransaction(pool, schema, async (client) => ({
      mirrors: await loadMirrors(client, schema),
      ...(await loadProjections(client, schema)),
    })),
  );
  // Of its own each time: a member that was killed would otherwise be waited for. Positions are in the schema.
  const groupId = `${settings.groupId}.v${version}.${randomUUID()}`;
  const run = runModel(
    {
      ...runSettings(settings),
      schema,
      projections: withViews ? projections : [],
      fingerprint,
      decoder: eventDecoder(config.schemaRegistry),
      groupId,
      mirrors,
      kafka,
      admin,
      pool,
      logger,
    },
    until,
  );
  const stop = async (): Promise<void> => {
    ended.abort();
    await run;
  };
  run.catch(() => undefined);
  try {
    await Promise.race([work(stop), run.then(() => new Promise<never>(() => undefined))]);
    signal.throwIfAborted();
  } finally {
    try {
      await stop();
    } finally {
      await atMost(forgetMs, forgetGroup(admin, groupId, logger));
    }
  }
}

/** Nobody waits long for what only tidies up. A member that left without a word is forgotten after its session, 10 s. */
const forgetMs = 12_000;
const forgetEveryMs = 250;

/** Kafka would list the group, without members, for days. While the broker still knows a member that has left, it refuses: then it is asked again. */
async function forgetGroup(admin: KafkaAdmin, groupId: string, logger: Logger): Promise<void> {
  for (const until = performance.now() + forgetMs; ; await delay(forgetEveryMs)) {
    try {
      return await admin.deleteGroup(groupId);
    } catch (error) {
      logger.debug({ err: error, groupId }, 'the consumer group of the rebuild was not deleted');
      if (performance.now() + forgetEveryMs > until) return;
    }
  }
}

const levelTries = 10;

/** A model that is filled from a topic without its beginning lacks rows, and nothing would show it. */
async function requireBeginnings({ config }: RebuildOptions, { pool, admin, schema }: Servers): Promise<void> {
  const { topicPrefix } = requireModel(requireReadModel(config), schema);
  const mirrors = await inTransaction(pool, schema, (client) => loadMirrors(client, schema));
  const [cut] = await cutBeginnings(
    admin,
    topicPrefix,
    mirrors.map(({ source }) => source),
  );
  if (cut === undefined) return;
  throw new CdcError('READ_MODEL_EVENTS_LOST', cutText(cut), {
    remedy: 'If what is left begins with a whole snapshot: cdc read-model rebuild --from-retained. Else take a new snapshot first.',
  });
}

function caughtUp({ signal, onProgress }: RebuildOptions, { pool, admin }: Servers, schema: string, version: number): Promise<void> {
  return catchUp({ ...fillingOf(pool, admin, schema), onProgress: (sums) => onProgress?.({ version, ...sums }), signal });
}

function servingOf(versions: readonly ModelVersion[], model: string): ModelVersion {
  const serving = versions.find(({ serves }) => serves);
  if (serving === undefined) throw new CdcError('READ_MODEL_NOT_MIGRATED', `schema ${model} of the read database is not up to date`);
  return serving;
}

function missing(model: string, what: string): CdcError {
  return new CdcError('READ_MODEL_VERSION_MISSING', `read model ${model} has ${what}`);
}
