import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { escapeIdentifier, type Pool } from 'pg';
import { eventDecoder, topicName } from '#change-events/index.ts';
import { connectKafka, type Kafka, type KafkaAdmin } from '#kafka/index.ts';
import { CdcError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { inTransaction, openPool, queryText, qualified } from '../database.ts';
import { loadMirrors } from '../mirror-catalogue.ts';
import { migrate } from '../migrate.ts';
import { readDatabaseConfig, requireModel, requireReadModel } from '../model-config.ts';
import { appliedOffsets } from '../positions.ts';
import { fingerprint, projections } from '../projections.ts';
import { retrying } from '../retry.ts';
import { runModel } from '../run-model.ts';
import { runSettings } from '../run-settings.ts';
import { haltedPartitions, isWait } from '../schema/halts.ts';
import { fillViews } from './fill-views.ts';
import { switchTo } from './switch.ts';
import { copyGrants, copyOwnMirrors, listVersions, versionSchema, type ModelVersion } from './versions.ts';

export type RebuildProgress = { readonly version: number; readonly applied: bigint; readonly end: bigint };

export type RebuildOptions = {
  readonly config: PipelineConfig;
  readonly model: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Fill from what the topics still hold, though their beginnings are deleted. */
  readonly fromRetained?: boolean | undefined;
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
};

/**
 * Fills a new version of a model from the beginning of its topics while the old one serves, and with `thenSwitch` lets it serve when it
 * has caught up. What an earlier call has filled is gone on with. Gives the version.
 *
 * @throws CdcError READ_MODEL_EVENTS_LOST when the topics do not reach back to their beginning (see docs/read-model.md), and what a
 *   consumer throws
 */
export async function rebuild(options: RebuildOptions, thenSwitch: boolean): Promise<number> {
  return withServers(options, async (servers) => {
    const { pool, schema } = servers;
    const versions = await listVersions(pool, schema);
    const serving = servingOf(versions, schema);
    const candidate = versions.find(({ version }) => version > serving.version);
    // Made by other projections than this program's: of no use to it.
    if (candidate !== undefined && candidate.projections !== fingerprint()) await drop(pool, candidate.schema);
    const resumed = candidate?.projections === fingerprint();
    if (!resumed && options.fromRetained !== true) await requireBeginnings(options, servers);
    const version = resumed && candidate !== undefined ? candidate.version : serving.version + 1;
    const name = versionSchema(schema, version);
    await migrate(readDatabaseConfig(requireReadModel(options.config)), { schema: name, rebuild: { version } });
    await copyOwnMirrors(pool, schema, name);
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
    if (previous.projections !== fingerprint()) {
      throw new CdcError(
        'READ_MODEL_PROJECTIONS_CHANGED',
        `version ${previous.version} of read model ${servers.schema} was made by other projections than this program's`,
        { remedy: 'Switch back with the program that made it.' },
      );
    }
    await bringUp(options, servers, previous.schema, previous.version, true);
    return previous.version;
  });
}

/** Drops versions that do not serve: the candidate, or those before the serving one. Gives their numbers. */
export async function dropVersions(options: RebuildOptions, which: 'candidate' | 'previous'): Promise<readonly number[]> {
  return withServers(options, async ({ pool, schema }) => {
    const versions = await listVersions(pool, schema);
    const serving = servingOf(versions, schema);
    const chosen = versions.filter(({ version }) => (which === 'candidate' ? version > serving.version : version < serving.version));
    for (const { schema: name } of chosen) await drop(pool, name);
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

/** Consumes into the version until it has caught up, in two steps: mirrors alone, then with views; then switches if told so. */
async function bringUp(options: RebuildOptions, servers: Servers, schema: string, version: number, thenSwitch: boolean): Promise<void> {
  const { pool } = servers;
  const filled = (await queryText(pool, `SELECT views_filled FROM ${qualified(schema, 'model_version')}`))[0]?.[0] === 't';
  if (!filled) {
    await consuming(options, servers, { schema, version, withViews: false }, () => caughtUp(options, servers, schema, version));
    await fillViews(pool, schema, projections);
  }
  await consuming(options, servers, { schema, version, withViews: true }, async (stop) => {
    await caughtUp(options, servers, schema, version);
    if (!thenSwitch) return;
    for (let tries = 0; !(await switchTo(pool, servers.schema, schema, stop)); tries += 1) {
      if (tries === levelTries) {
        throw new CdcError('READ_MODEL_NOT_LEVEL', `version ${version} of read model ${servers.schema} stays behind the one that serves`);
      }
      options.logger.info({ schema, tries }, 'not level with the serving version yet; trying again');
      await caughtUp(options, servers, schema, version);
    }
  });
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
  const mirrors = await retrying('reading the mirrors', logger, signal, () =>
    inTransaction(pool, schema, (client) => loadMirrors(client, schema)),
  );
  const run = runModel(
    {
      ...runSettings(settings),
      schema,
      projections: withViews ? projections : [],
      decoder: eventDecoder(config.schemaRegistry),
      // Of its own each time: a member that was killed would otherwise be waited for. Positions are in the schema.
      groupId: `${settings.groupId}.v${version}.${randomUUID()}`,
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
    await stop();
  }
}

const lookEveryMs = 200;
const levelTries = 10;

/** A model that is filled from a topic without its beginning lacks rows, and nothing would tell. */
async function requireBeginnings({ config }: RebuildOptions, { pool, admin, schema }: Servers): Promise<void> {
  const { topicPrefix } = requireModel(requireReadModel(config), schema);
  const mirrors = await inTransaction(pool, schema, (client) => loadMirrors(client, schema));
  const existing = new Set(await admin.listTopics());
  for (const { source } of mirrors) {
    const topic = topicName(topicPrefix, source);
    const cut = existing.has(topic) ? (await admin.offsetsOf(topic)).find(({ low }) => low > 0n) : undefined;
    if (cut === undefined) continue;
    throw new CdcError(
      'READ_MODEL_EVENTS_LOST',
      `topic ${topic}, partition ${cut.partition} begins at offset ${cut.low}: what was before it is deleted`,
      {
        remedy: 'If what is left begins with a whole snapshot: cdc read-model rebuild --from-retained. Else take a new snapshot first.',
      },
    );
  }
}

/** A round of catching up that took no longer left no more behind it than the switch can wait for. */
const shortRoundMs = 2000;

/** Resolves when the version has applied all that the topics held a moment ago. */
async function caughtUp({ signal, onProgress }: RebuildOptions, { pool, admin }: Servers, schema: string, version: number): Promise<void> {
  for (;;) {
    const began = Date.now();
    const ends = await endsOf(pool, admin, schema);
    for (;;) {
      const applied = await appliedOffsets(pool, schema);
      const behind = applied.filter(({ topic, partition, nextOffset }) => nextOffset < (ends.get(`${topic}/${partition}`) ?? 0n));
      const sum = applied.reduce((total, { nextOffset }) => total + nextOffset, 0n);
      onProgress?.({ version, applied: sum, end: [...ends.values()].reduce((total, end) => total + end, 0n) });
      if (behind.length === 0) break;
      const halt = (await haltedPartitions(pool, schema)).find(({ code }) => !isWait(code));
      if (halt !== undefined) throw new CdcError('READ_MODEL_SCHEMA_CHANGED', halt.cause, { remedy: halt.remedy });
      await delay(lookEveryMs, undefined, { signal });
    }
    if (ends.size > 0 && Date.now() - began < shortRoundMs) return;
    await delay(ends.size > 0 ? 0 : lookEveryMs, undefined, { signal });
  }
}

/** Where the partitions end that the version has claimed; none before it has. */
async function endsOf(pool: Pool, admin: KafkaAdmin, schema: string): Promise<ReadonlyMap<string, bigint>> {
  const topics = new Set((await appliedOffsets(pool, schema)).map(({ topic }) => topic));
  const ends = new Map<string, bigint>();
  for (const topic of topics) for (const { partition, high } of await admin.offsetsOf(topic)) ends.set(`${topic}/${partition}`, high);
  return ends;
}

function servingOf(versions: readonly ModelVersion[], model: string): ModelVersion {
  const serving = versions.find(({ serves }) => serves);
  if (serving === undefined) throw new CdcError('READ_MODEL_NOT_MIGRATED', `schema ${model} of the read database is not up to date`);
  return serving;
}

async function drop(pool: Pool, schema: string): Promise<void> {
  await pool.query(`DROP SCHEMA ${escapeIdentifier(schema)} CASCADE`);
}

function missing(model: string, what: string): CdcError {
  return new CdcError('READ_MODEL_VERSION_MISSING', `read model ${model} has ${what}`);
}
