import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { heartbeatTable, parseTableId, topicName } from '#change-events/index.ts';
import { applyConnector, capturedTables, connectClient, prepareSource, readConnectorFile } from '#connectors/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { legacyTables, migrate as migrateLegacy, runWorkload, seed } from '#legacy-db/index.ts';
import { CdcError, nodeFlags, postgresClientConfig, silentLogger, type Credentials, type PipelineConfig } from '#pipeline/index.ts';
import { migrate as migrateReadModel } from '#read-model/index.ts';
import { startMain, startStack, type Progress } from '#stack/index.ts';
import type { ComparisonReport } from './report/report.ts';
import { writeDemoConfig } from './demo-config.ts';
import { comparisonFromConfig } from './from-config.ts';
import { startComparison } from './run.ts';
import { entriesOf } from './strategy.ts';

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

const root = join(import.meta.dirname, '..');
const pipelineFile = join(root, 'pipeline.yaml');

/** What the demo on the stack in `folder` runs with. */
export function demoConfigFile(folder: string): string {
  return join(folder, 'pipeline.json');
}

/**
 * The whole pipeline on a local stack of its own: servers, legacy system, the strategies, their read models, a workload, the comparison.
 * Leaves everything running; the caller stops the stack. The configuration is the project's pipeline.yaml with the stack's variables and the
 * third contender, in `demoConfigFile(folder)`.
 *
 * @throws CdcError of whatever part failed; the signal's reason
 */
export async function runDemo({ folder, rate, seconds, seed: seedNumber, progress, signal }: DemoOptions): Promise<ComparisonReport> {
  const stack = await startStack({ folder, throwaway: true, progress, signal });
  const configFile = demoConfigFile(folder);
  const config = await writeDemoConfig(pipelineFile, { ...process.env, ...stack.environment }, configFile);
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

  progress('starting the strategies and their read models');
  const models = Object.keys(readModel.models);
  for (const schema of models) await migrateReadModel(postgresClientConfig(readModel, readModel, 'cdc demo'), { schema });
  const run = (name: string, args: readonly string[]): ReturnType<typeof startMain> =>
    startMain({
      name,
      args: [...nodeFlags, 'cli.ts', '--config', configFile, '--stack', folder, ...args],
      env: stack.environment,
      folder,
      cwd: root,
      progress,
      signal,
    });
  await Promise.all([
    run('poller', ['poller', 'start']),
    run('poller with sweep', ['poller', 'start', '--sweep']),
    run('read-model', ['read-model', 'start']),
    applyConnectors(config, owner, { progress, signal }),
  ]);
  const tables = legacyTables.map(parseTableId);
  const input = comparisonFromConfig(config, silentLogger);
  const topics = entriesOf(input.strategies).flatMap(([, { topicPrefix }]) => tables.map((table) => topicName(topicPrefix, table)));
  topics.push(topicName(connect.topicPrefix, heartbeatTable));
  await untilTopics(config, topics, signal);

  progress('waiting until every strategy has published what is there');
  await using comparison = await startComparison({ ...input, heartbeatTable, legacyDatabase: owner, signal, progress });
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
  progress('waiting until all read models have caught up');
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
    const file = await readConnectorFile(path);
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
