import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { requireJava, resolveJars, waitFor } from '#stack/index.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { keySchema, valueSchema } from './debezium-schema.ts';

/** Kafka Connect with Debezium's JDBC sink, as a process of its own with the JVM's own defaults and 2 GB of heap. */
export type SinkWorker = AsyncDisposable & {
  readonly pid: number;
  /** Starts a sink connector from the topic's beginning; disposing it deletes it. */
  start(settings: Readonly<Record<string, string>>): Promise<AsyncDisposable & { failure(): Promise<string | null> }>;
};

export async function startSinkWorker(signal: AbortSignal, say: (line: string) => void): Promise<SinkWorker> {
  const folder = await mkdtemp(join(tmpdir(), 'cdc-bench-sink-'));
  const port = await getPort();
  const url = `http://127.0.0.1:${port}`;
  const [java, kafkaJars, sinkJars] = [
    await requireJava(),
    await resolveJars('kafka', { signal, progress: say }),
    await resolveJars('debezium-jdbc', { signal, progress: say }),
  ];
  await mkdir(join(folder, 'plugins'));
  await symlink(sinkJars, join(folder, 'plugins', 'debezium-jdbc'));
  const { kafka } = await testStack();
  const config = join(folder, 'connect.properties');
  await writeFile(config, workerProperties(kafka.brokers, url, join(folder, 'plugins')));
  const child = spawn(java, ['-Xmx2g', '-cp', join(kafkaJars, '*'), 'org.apache.kafka.connect.cli.ConnectDistributed', config], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(join(folder, 'connect.log'));
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  const { pid } = child;
  if (pid === undefined) throw new Error('java could not be started');
  await waitFor(async () => child.exitCode === null && (await answers(`${url}/connectors`)), { signal, timeoutMs: 120_000, describe: url });
  return {
    pid,
    async start(settings) {
      const name = uniqueName('sink');
      await request('PUT', `${url}/connectors/${name}/config`, {
        'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
        'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
        'key.converter.schema.content': keySchema,
        'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
        'value.converter.schema.content': valueSchema,
        'consumer.override.auto.offset.reset': 'earliest',
        'consumer.override.isolation.level': 'read_committed',
        'insert.mode': 'upsert',
        'delete.enabled': 'true',
        'primary.key.mode': 'record_key',
        'schema.evolution': 'none',
        ...settings,
      });
      return {
        async failure() {
          const status = await fetch(`${url}/connectors/${name}/status`);
          const text = await status.text();
          return text.includes('FAILED') ? text.slice(0, 3000) : null;
        },
        async [Symbol.asyncDispose]() {
          await request('DELETE', `${url}/connectors/${name}`);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

async function request(method: string, url: string, body?: unknown): Promise<void> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${(await response.text()).slice(0, 2000)}`);
}

function workerProperties(brokers: string, url: string, plugins: string): string {
  const name = uniqueName('sink-worker');
  const json = 'org.apache.kafka.connect.json.JsonConverter';
  const single = ['config', 'offset', 'status'].flatMap((kind) => [
    `${kind}.storage.topic=${name}-${kind}`,
    `${kind}.storage.replication.factor=1`,
    ...(kind === 'config' ? [] : [`${kind}.storage.partitions=1`]),
  ]);
  const lines = [
    `bootstrap.servers=${brokers}`,
    `group.id=${name}`,
    `listeners=${url}`,
    `key.converter=${json}`,
    `value.converter=${json}`,
    `plugin.path=${plugins}`,
    'plugin.discovery=service_load',
    'connector.client.config.override.policy=All',
    ...single,
  ];
  return `${lines.join('\n')}\n`;
}
