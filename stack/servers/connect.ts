import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { answersAt } from '../answers-at.ts';
import { writeSecretFile } from '../state/file.ts';
import { javaFlags, propertiesFile, serverEnvironment } from './java/java.ts';
import { host } from '../roles-and-variables.ts';
import type { ServerSpec } from '../processes/server-process.ts';

const extension = 'org.apache.kafka.connect.rest.basic.auth.extension';

export type ConnectOptions = {
  readonly name: string;
  readonly port: number;
  readonly brokers: string;
  /** Configuration and links to the plugins. */
  readonly folder: string;
  /** What connector configurations refer to as `${env:NAME}`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Who may use the REST interface: whoever may, has what the worker's variables hold sent wherever they like. */
  readonly login?: { readonly username: string; readonly password: string } | undefined;
  readonly runtime: (signal: AbortSignal) => Promise<{
    readonly java: string;
    /** The folder of Kafka's jars. */
    readonly jars: string;
    /** Name and folder of jars of each plugin. */
    readonly plugins: Readonly<Record<string, string>>;
    /** The folder of what checks a login. */
    readonly basicAuth?: string | undefined;
  }>;
};

/** A distributed Kafka Connect worker with its REST API on the loopback, behind a login where one is given. */
export function connectServer(options: ConnectOptions): ServerSpec {
  const url = `http://${host}:${options.port}`;
  return {
    name: options.name,
    address: url,
    launch: async (signal) => {
      const { java, jars, plugins, basicAuth } = await options.runtime(signal);
      const pluginPath = join(options.folder, 'plugins');
      await rm(pluginPath, { recursive: true, force: true });
      await mkdir(pluginPath, { recursive: true });
      // Every folder in plugin.path is a plugin, so it cannot be the cache itself.
      for (const [name, folder] of Object.entries(plugins)) await symlink(folder, join(pluginPath, name));
      const config = join(options.folder, 'connect.properties');
      await writeFile(config, propertiesFile(workerProperties(options, pluginPath)));
      const access = options.login === undefined ? [] : await writeLogin(options.folder, options.login);
      const main = 'org.apache.kafka.connect.cli.ConnectDistributed';
      return {
        command: java,
        // On the class path, not as a plugin: Java looks for a login module there.
        args: [
          ...javaFlags('1g'),
          ...access,
          '-cp',
          [jars, ...(basicAuth === undefined ? [] : [basicAuth])].map((at) => join(at, '*')).join(delimiter),
          main,
          config,
        ],
        cwd: options.folder,
        env: serverEnvironment(options.environment),
      };
    },
    ready: (signal) => answersAt(`${url}/health`, signal, options.login),
    stopSignal: 'SIGTERM',
    startLimitMs: 120_000,
    stopLimitMs: 60_000,
  };
}

/** Gives the JVM's flags. */
async function writeLogin(folder: string, { username, password }: NonNullable<ConnectOptions['login']>): Promise<readonly string[]> {
  const [users, jaas] = [join(folder, 'users.properties'), join(folder, 'jaas.conf')];
  await writeSecretFile(users, propertiesFile({ [username]: password }));
  const quoted = users.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  await writeSecretFile(jaas, `KafkaConnect { ${extension}.PropertyFileLoginModule required file="${quoted}"; };\n`);
  return [`-Djava.security.auth.login.config=${jaas}`];
}

function workerProperties({ port, brokers, login, environment }: ConnectOptions, pluginPath: string): Record<string, string> {
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
    // A connector's settings may ask for these, and for no other variable of the worker.
    'config.providers.env.param.allowlist.pattern': `^(?:${Object.keys(environment).join('|')})$`,
    'exactly.once.source.support': 'enabled',
    ...(login === undefined ? {} : { 'rest.extension.classes': `${extension}.BasicAuthSecurityRestExtension` }),
  };
}
