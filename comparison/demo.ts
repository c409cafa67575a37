import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { readHorizons } from '#cdc-poller/index.ts';
import { parseTableId, topicName } from '#change-events/index.ts';
import { applyConnector, capturedTables, connectClient, prepareSource, readConnectorFile } from '#connectors/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { legacyTables, migrate as migrateLegacy, runWorkload, seed } from '#legacy-db/index.ts';
import {
  CdcError,
  loadConfig,
  nodeFlags,
  postgresClientConfig,
  silentLogger,
  type Credentials,
  type PipelineConfig,
} from '#pipeline/index.ts';
import { migrate as migrateReadModel } from '#read-model/index.ts';
import { startMain, startStack, type Progress } from '#stack/index.ts';
import type { ComparisonReport } from './report/report.ts';
import { startComparison } from './run.ts';

export type DemoOptions = {
  /** State folder of the demo's own stack. */
  readonly folder: string;
  /** Operations per second and how long, in s. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
};

/** Its events tell how far the connector has come. */
const heartbeatTable = { schema: 'cdc', table: 'heartbeat' };
const root = join(import.meta.dirname, '..');
const pipelineFile = join(root, 'pipeline.yaml');

/**
 * The whole pipeline on a local stack of its own: servers, legacy system, both strategies, their read models, a workload, the comparison.
 * Leaves everything running; the caller stops the stack. The configuration is the project's pipeline.yaml with the stack's variables.
 *
 * @throws CdcError of whatever part failed; the signal's reason
 */
export async function runDemo({ folder, rate, seconds, seed: seedNumber, progress, signal }: DemoOptions): Promise<ComparisonReport> {
  const stack = await startStack({ folder, throwaway: true, progress, signal });
  const environment = { ...process.env, ...stack.environment };
  const config = await loadConfig(pipelineFile, environment);
  const { connect, poller, readModel } = config;
  if (connect === undefined || poller === undefined || readModel === undefined)
    throw new CdcError('CONFIG_INVALID', `${pipelineFile} is not whole`);
  const owner = as(config, 'owner');

  progress('making the legacy system: tables, ledger of truth, 2000 orders');
  const { application, replicator } = config.legacyDb.roles;
  await migrateLegacy(owner, {
    ledger: true,
    roles: { application: application?.user, poller: config.legacyDb.roles.poller.user, replicator: replicator?.user },
  });
  await seed(owner, { customers: 500, products: 100, orders: 2000, seed: seedNumber, signal });

  progress('starting both strategies and their read models');
  const models = Object.keys(readModel.models);
  for (const schema of models) await migrateReadModel(postgresClientConfig(readModel, readModel, 'cdc demo'), { schema });
  const kafka = connectKafka(config.kafka, silentLogger);
  const run = (name: string, args: readonly string[]): ReturnType<typeof startMain> =>
    startMain({
      name,
      args: [...nodeFlags, 'cli.ts', '--config', pipelineFile, '--stack', folder, ...args],
      env: stack.environment,
      folder,
      cwd: root,
      progress,
      signal,
    });
  await Promise.all([
    run('poller', ['poller', 'start']),
    ...models.map((model) => run(`read-model ${model}`, ['read-model', 'start', '--model', model])),
    applyConnectors(config, owner, { progress, signal }),
  ]);
  const tables = legacyTables.map(parseTableId);
  const topics = [poller.topicPrefix, connect.topicPrefix].flatMap((prefix) => tables.map((table) => topicName(prefix, table)));
  topics.push(topicName(connect.topicPrefix, heartbeatTable));
  await untilTopics(config, topics, signal);

  progress('waiting until both strategies have published what is there');
  const [log, query] = [modelOf(readModel.models, connect.topicPrefix), modelOf(readModel.models, poller.topicPrefix)];
  await using comparison = await startComparison({
    kafka,
    heartbeatTable,
    legacyDatabase: owner,
    readDatabase: postgresClientConfig(readModel, readModel, 'cdc demo'),
    strategies: { log: { topicPrefix: connect.topicPrefix, model: log }, query: { topicPrefix: poller.topicPrefix, model: query } },
    tables,
    queryHorizons: () => readHorizons(kafka, poller.name, signal),
    roles: { query: config.legacyDb.roles.poller.user, log: replicator?.user ?? '' },
    signal,
    progress,
  });
  progress(`the old application writes for ${seconds} s, ${rate} operations a second`);
  const statistics = await runWorkload({
    application: as(config, 'application'),
    rate,
    seconds,
    seed: seedNumber,
    signal,
    onProgress: ({ elapsedMs, operations, committed }) =>
      progress(`  ${Math.round(elapsedMs / 1000)} s: ${operations} operations, ${committed} transactions committed`),
  });
  signal.throwIfAborted();
  progress('waiting until both read models have caught up');
  return await comparison.finish(statistics);
}

async function applyConnectors(
  config: PipelineConfig,
  owner: ReturnType<typeof postgresClientConfig>,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<void> {
  const { connect } = config;
  const client = connectClient({ url: connect?.url ?? '' });
  for (const path of connect?.connectors ?? []) {
    const file = await readConnectorFile(join(root, path));
    const { config: settings } = file;
    await prepareSource(owner, {
      tables: capturedTables(file.name, settings),
      publication: settings['publication.name'] ?? '',
      replicator: config.legacyDb.roles.replicator?.user ?? '',
    });
    await applyConnector(client, file, { progress, signal });
  }
}

function as(config: PipelineConfig, role: 'owner' | 'application'): ReturnType<typeof postgresClientConfig> {
  const credentials: Credentials | undefined = config.legacyDb.roles[role];
  if (credentials === undefined) throw new CdcError('LEGACY_ROLE_NOT_CONFIGURED', `${pipelineFile} has no legacyDb.roles.${role}`);
  return postgresClientConfig(config.legacyDb, credentials, `cdc demo ${role}`);
}

function modelOf(models: Readonly<Record<string, { readonly topicPrefix: string }>>, prefix: string): string {
  const found = Object.entries(models).find(([, model]) => model.topicPrefix === prefix);
  if (found === undefined) throw new CdcError('CONFIG_INVALID', `no read model reads the topics of ${prefix}`);
  return found[0];
}

/** The poller makes its topics, Connect makes the log's as the first event of each arrives. */
async function untilTopics(config: PipelineConfig, topics: readonly string[], signal: AbortSignal): Promise<void> {
  await using admin = await connectKafka(config.kafka, silentLogger).admin();
  const deadline = performance.now() + 60_000;
  for (;;) {
    const present = new Set(await admin.listTopics());
    const missing = topics.filter((topic) => !present.has(topic));
    if (missing.length === 0) return;
    if (performance.now() > deadline) throw new CdcError('TOPIC_MISSING', `not made within 60 s: topic ${missing.join(', ')}`);
    await delay(100, undefined, { signal });
  }
}
