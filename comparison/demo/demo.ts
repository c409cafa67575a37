import { extname, join } from 'node:path';
import { heartbeatTable, parseTableId, topicName } from '#change-events/index.ts';
import { applyConnector, capturedTables, connectClient, prepareSource, readConnectorFile } from '#connectors/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { legacyTables, migrate as migrateLegacy, runWorkload, seed } from '#legacy-db/index.ts';
import { CdcError, nodeFlags, postgresClientConfig, silentLogger, type Credentials, type PipelineConfig } from '#pipeline/index.ts';
import { capturedUnder } from '#project/index.ts';
import { migrate as migrateReadModel, projectionFilesOf, wantedMirrors } from '#read-model/index.ts';
import { startMain, startStack, type MainOptions, type MainProcess, type Progress } from '#stack/index.ts';
import type { ComparisonReport } from '../report/report.ts';
import { writeDemoConfig } from './demo-config.ts';
import { changeAnOrder, grantServices, servicesMain, type CommandSeen } from './demo-services.ts';
import { comparisonFromConfig } from '../from-config.ts';
import { startComparison } from '../run.ts';
import { entriesOf } from '../strategy.ts';
import { waitForTopics } from '../wait-for-topics.ts';

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

export type DemoSeen = {
  readonly report: ComparisonReport;
  readonly command: CommandSeen;
  /** Who may log in at the gateway's page. */
  readonly people: readonly { readonly name: string; readonly password: string }[];
};

/** Java, Postgres and our own processes compile and cache what they need in their first seconds: those are no measure of a strategy. */
const warmUpSeconds = 5;

const root = join(import.meta.dirname, '..', '..');
/** Compiled, in the installed package. */
const cli = `cli${extname(import.meta.filename)}`;
const pipelineFile = join(root, 'pipeline.yaml');

/** What the demo on the stack in `folder` runs with. */
export function demoConfigFile(folder: string): string {
  return join(folder, 'pipeline.json');
}

/**
 * The whole pipeline on a local stack of its own: servers, legacy system, the strategies, their read models, a workload, the comparison; then the services.
 * Leaves everything running; the caller stops the stack. The configuration is the project's pipeline.yaml with the stack's variables and the
 * third contender, in `demoConfigFile(folder)`.
 *
 * @throws CdcError of whatever part failed; the signal's reason
 */
export async function runDemo({ folder, rate, seconds, seed: seedNumber, progress, signal }: DemoOptions): Promise<DemoSeen> {
  const stack = await startStack({ folder, throwaway: true, identityProvider: true, progress, signal });
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
  for (const [schema, { tables, topicPrefix, projections: patterns }] of Object.entries(readModel.models)) {
    const { mirrors } = wantedMirrors(schema, tables, await capturedUnder(config, root, topicPrefix));
    await migrateReadModel(postgresClientConfig(readModel, readModel, 'cdc demo'), {
      schema,
      asked: { topicPrefix, mirrors, projections: await projectionFilesOf(root, patterns) },
    });
  }
  const run = (name: string, args: readonly string[], how: Partial<MainOptions> = {}): ReturnType<typeof startMain> =>
    startMain({
      ...how,
      name,
      args: [...nodeFlags, cli, '--config', configFile, '--stack', folder, ...args],
      env: stack.environment,
      folder,
      cwd: root,
      progress,
      signal,
    });
  const [poll, sweep] = await Promise.all([
    run('poller', ['poller', 'start']),
    run('poller with sweep', ['poller', 'start', '--sweep']),
    run('read-model', ['read-model', 'start']),
    applyConnectors(config, owner, { progress, signal }),
  ]);
  const tables = legacyTables.map(parseTableId);
  const input = comparisonFromConfig(config, silentLogger);
  const topics = entriesOf(input.strategies).flatMap(([, { topicPrefix }]) => tables.map((table) => topicName(topicPrefix, table)));
  topics.push(topicName(connect.topicPrefix, heartbeatTable));
  await untilTopics(config, topics, [poll, sweep], { progress, signal });

  progress(`warming up: the old application writes for ${warmUpSeconds} s that do not count`);
  const write = (
    length: number,
    of: number,
    onProgress: NonNullable<Parameters<typeof runWorkload>[0]['onProgress']>,
  ): ReturnType<typeof runWorkload> =>
    runWorkload({ application: as(config, 'application'), rate, seconds: length, seed: of, signal, onProgress });
  await write(warmUpSeconds, seedNumber + 1, () => undefined);
  signal.throwIfAborted();
  progress('waiting until every strategy has published what is there');
  await using comparison = await startComparison({ ...input, heartbeatTable, legacyDatabase: owner, signal, progress });
  progress(`the old application writes for ${seconds} s, ${rate} operations a second`);
  const statistics = await write(seconds, seedNumber, ({ elapsedMs, operations, committed }) =>
    progress(`  ${Math.round(elapsedMs / 1000)} s: ${operations} operations, ${committed} transactions committed`),
  );
  signal.throwIfAborted();
  progress('waiting until all read models have caught up');
  const report = await comparison.finish(statistics);

  // Only now: while the strategies were measured, nothing else was to take their time.
  progress('starting the services: query API, order service, gateway');
  const { identityProvider } = stack;
  if (identityProvider === undefined) throw new CdcError('STACK_NOT_RUNNING', `${folder} has no identity provider`);
  await grantServices(config);
  const { name, args, ...how } = servicesMain(config);
  await run(name, args, how);
  progress('a program changes an order through the gateway');
  return { report, command: await changeAnOrder(identityProvider, signal), people: identityProvider.users };
}

async function applyConnectors(
  config: PipelineConfig,
  owner: ReturnType<typeof postgresClientConfig>,
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<void> {
  const { connect } = config;
  const client = connectClient(connect ?? { url: '' });
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
async function untilTopics(
  config: PipelineConfig,
  topics: readonly string[],
  makers: readonly MainProcess[],
  { progress, signal }: { readonly progress: Progress; readonly signal: AbortSignal },
): Promise<void> {
  await using admin = await connectKafka(config.kafka, silentLogger).admin();
  const requireMakers = async (): Promise<void> => {
    for (const { name, log, isRunning } of makers) {
      if (!(await isRunning())) throw new CdcError('STACK_START_FAILED', `${name} has ended before it made its topics; its log: ${log}`);
    }
  };
  await waitForTopics(topics, { list: () => admin.listTopics(), requireMakers, progress, signal });
}
