import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answersAt } from './answers-at.ts';
import { javaFlags, propertiesFile, serverEnvironment } from './java.ts';
import type { ServerSpec } from './server-process.ts';

const host = '127.0.0.1';

export type ConnectOptions = {
  readonly name: string;
  readonly port: number;
  readonly brokers: string;
  /** Configuration and links to the plugins. */
  readonly folder: string;
  /** What connector configurations refer to as `${env:NAME}`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly runtime: (signal: AbortSignal) => Promise<{
    readonly java: string;
    /** The folder of Kafka's jars. */
    readonly jars: string;
    /** Name and folder of jars of each plugin. */
    readonly plugins: Readonly<Record<string, string>>;
  }>;
};

/** A distributed Kafka Connect worker with its REST API on the loopback. */
export function connectServer(options: ConnectOptions): ServerSpec {
  const url = `http://${host}:${options.port}`;
  return {
    name: options.name,
    address: url,
    launch: async (signal) => {
      const { java, jars, plugins } = await options.runtime(signal);
      const pluginPath = join(options.folder, 'plugins');
      await rm(pluginPath, { recursive: true, force: true });
      await mkdir(pluginPath, { recursive: true });
      // Every folder in plugin.path is a plugin, so it cannot be the cache itself.
      for (const [name, folder] of Object.entries(plugins)) await symlink(folder, join(pluginPath, name));
      const config = join(options.folder, 'connect.properties');
      await writeFile(config, propertiesFile(workerProperties(options, pluginPath)));
      const main = 'org.apache.kafka.connect.cli.ConnectDistributed';
      return {
        command: java,
        args: [...javaFlags('1g'), '-cp', join(jars, '*'), main, config],
        cwd: options.folder,
        env: serverEnvironment(options.environment),
      };
    },
    ready: (signal) => answersAt(`${url}/health`, signal),
    stopSignal: 'SIGTERM',
    startLimitMs: 120_000,
    stopLimitMs: 60_000,
  };
}

function workerProperties({ port, brokers }: ConnectOptions, pluginPath: string): Record<string, string> {
  const json = 'org.apache.kafka.connect.json.JsonConverter';
  return {
    'bootstrap.servers': brokers,
    'group.id': 'connect-local',
    listeners: `http://${host}:${port}`,
    'key.converter': json,
    'value.converter': json,
    'key.converter.schemas.enable': 'false',
    'value.converter.schemas.enable': 'false',
    // -1 takes the brokers' default: as many replicas as there are brokers.
    'offset.storage.topic': 'connect-local-offsets',
    'offset.storage.replication.factor': '-1',
    'offset.storage.partitions': '1',
    'config.storage.topic': 'connect-local-configs',
    'config.storage.replication.factor': '-1',
    'status.storage.topic': 'connect-local-status',
    'status.storage.replication.factor': '-1',
    'status.storage.partitions': '1',
    'offset.flush.interval.ms': '1000',
    'plugin.path': pluginPath,
    'plugin.discovery': 'service_load',
    'config.providers': 'env',
    'config.providers.env.class': 'org.apache.kafka.common.config.provider.EnvVarConfigProvider',
    'exactly.once.source.support': 'enabled',
  };
}
