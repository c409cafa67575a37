import { CdcError, serveMonitoring, type CliContext } from '#pipeline/index.ts';
import { guardMetrics } from '../guard/metrics.ts';
import { watchConnectors, type GuardEvent } from '../guard/watch.ts';
import { clientOf, connectorPaths, filesOf, guardPolicy, replicatorOf } from './connect-context.ts';

const alarmed = 1;

export type WatchCommandOptions = {
  readonly json?: boolean;
  readonly once?: boolean;
  readonly metricsPort?: string;
  readonly metricsHost: string;
};

/** Runs until SIGINT or SIGTERM; with --once looks once, exit code 1 when an alarm holds. */
export async function watch(context: CliContext, names: readonly string[], options: WatchCommandOptions): Promise<void> {
  const { json = false, once = false, metricsPort, metricsHost } = options;
  const client = await clientOf(context);
  const source = await replicatorOf(context);
  const files = await filesOf(context, names);
  const policy = await guardPolicy(context);
  const metrics = guardMetrics(
    files.map(({ name }) => name),
    policy.intervalMs,
  );
  await using server =
    metricsPort === undefined
      ? undefined
      : await serveMonitoring({ host: metricsHost, port: portOf(metricsPort) }, metrics.monitored, '--metrics-port');
  if (server !== undefined) context.progress(`metrics at ${server.url}/metrics`);
  using open = new DisposableStack();
  if (!once) open.use(await context.followFiles(await connectorPaths(context)));
  if (!once) context.progress(`watching ${files.map(({ name }) => name).join(', ')}`);
  const alarms = await watchConnectors(
    files.map(({ name, config }) => ({ name, config, client, source })),
    {
      policy,
      onEvent: (event) => {
        metrics.event(event);
        context.print(json ? JSON.stringify(event) : format(event));
      },
      onObservation: metrics.observed,
      once,
      signal: context.signal,
    },
  );
  if (!once) return;
  const bad = Object.values(alarms).flat();
  if (bad.length > 0) context.setExitCode(alarmed);
  else if (!json) context.print(`${files.map(({ name }) => name).join(', ')}: well`);
}

function format({ at, connector, level, event, alarm, text }: GuardEvent): string {
  const head = `${at} ${connector}`;
  if (event === 'clear') return `${head} ${alarm ?? ''}: ${text}`;
  return `${head} ${level.toUpperCase()} ${alarm ?? event}: ${text}`;
}

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new CdcError('CONFIG_INVALID', `--metrics-port ${text}: expected a port`, {
    remedy: 'For example: --metrics-port 9464; 0 is any free one.',
  });
}
