import { writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import getPort from 'get-port';
import { loadConfig, type PipelineConfig } from '#pipeline/index.ts';

/** The demo's tables are small and its time is short: they are swept every second, and their keys listed rather than searched. */
const sweep = { intervalMs: 1000, listKeys: 10_000, maxDeletes: 100_000 };

/**
 * The configuration of `file` with the third contender (its tables polled with the key sweep on, and a read model that follows it) the
 * pollers' figures served, and the services on free ports, written to `demoFile` for the processes of the demo. Only this user may read it: it holds the stack's passwords.
 *
 * @throws CdcError CONFIG_INVALID
 */
export async function writeDemoConfig(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
  demoFile: string,
): Promise<PipelineConfig> {
  const [port, sweepPort, queryApi, orders, monitoring] = await freePorts(5);
  const { poller, connect, readModel, ...rest } = await loadConfig(file, {
    ...environment,
    QUERY_API_PORT: queryApi,
    QUERY_API_URL: `http://127.0.0.1:${queryApi}`,
    ORDER_SERVICE_PORT: orders,
    ORDER_SERVICE_URL: `http://127.0.0.1:${orders}`,
    GATEWAY_MONITORING_PORT: monitoring,
  });
  const config = {
    ...rest,
    poller: { ...poller, http: { port: Number(port) } },
    connect: { ...connect, connectors: (connect?.connectors ?? []).map((path) => resolve(dirname(file), path)) },
    readModel: {
      ...readModel,
      models: Object.fromEntries(
        Object.entries({ ...readModel?.models, sweep_model: { topicPrefix: 'sweep', groupId: 'read-model-sweep' } }).map(
          ([name, model]) => [name, { ...model, projections: [resolve(dirname(file), 'projections/*.sql')] }],
        ),
      ),
    },
    comparison: { sweep: { name: `${poller?.name}-sweep`, topicPrefix: 'sweep', sweep, http: { port: Number(sweepPort) } } },
  };
  await writeFile(demoFile, JSON.stringify(config, null, 2), { mode: 0o600 });
  return await loadConfig(demoFile, environment);
}

async function freePorts(count: number): Promise<readonly string[]> {
  const ports: string[] = [];
  while (ports.length < count) ports.push(String(await getPort({ host: '127.0.0.1' })));
  return ports;
}
