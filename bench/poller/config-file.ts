import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

export type BenchConfig = AsyncDisposable & {
  readonly file: string;
  readonly pollerName: string;
  readonly topic: string;
};

export type BenchSettings = {
  readonly client: string;
  readonly poller?: Readonly<Record<string, unknown>>;
};

/** A pipeline.yaml for one poller over table orders, with a name, and so with topics and positions, that nobody used before. */
export async function writeBenchConfig(database: LegacyDatabase, { client, poller }: BenchSettings): Promise<BenchConfig> {
  const { kafka, schemaRegistry } = await testStack();
  const folder = await mkdtemp(join(tmpdir(), 'cdc-bench-config-'));
  const file = join(folder, 'pipeline.yaml');
  const pollerName = uniqueName('bench');
  const config = {
    legacyDb: database.config,
    // The default is left out, so that a checkout which has no choice can be measured too.
    kafka: { brokers: kafka.brokers, partitions: 3, replicationFactor: 1, ...(client === 'kafkajs' ? {} : { client }) },
    ...(schemaRegistry === undefined ? {} : { schemaRegistry }),
    poller: { name: pollerName, topicPrefix: pollerName, ...poller, tables: [{ table: 'public.orders' }] },
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return {
    file,
    pollerName,
    topic: `${pollerName}.public.orders`,
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
