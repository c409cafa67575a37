import type { Kafka } from '#kafka/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { measureCdc, type Usage } from '../harness/measured-process.ts';
import { cpuOfServer } from '../harness/process-usage.ts';
import { writeBenchConfig } from './config-file.ts';

export type SnapshotRound = Usage & {
  /** Events per second from the broker's first append to its last: as the peers' figures are taken. */
  readonly rowsPerSecond: number;
  readonly cpuSecondsPer100k: number;
  /** Of the poller, Postgres and the broker together, from the poller's start to its end. */
  readonly allCpuSecondsPer100k: number;
};

/** Loads the table with `cdc poller start --once`, and counts what a read_committed consumer sees of it: each row once. `tree`: of another checkout. */
export async function measureSnapshot(
  database: LegacyDatabase,
  rows: number,
  client: string,
  { tree, poller = {} }: { readonly tree?: string; readonly poller?: Readonly<Record<string, unknown>> } = {},
): Promise<SnapshotRound> {
  const kafka = await testKafka();
  await using config = await writeBenchConfig(database, { client, poller });
  await using admin = await kafka.admin();
  // The broker's clock at each append gives first and last record; the poller leaves a topic that exists as it is.
  const spec = { topic: config.topic, partitions: 3, replicationFactor: 1, config: { 'message.timestamp.type': 'LogAppendTime' } };
  await admin.ensureTopics([spec]);
  const before = await serversCpu();
  await using running = measureCdc(['--config', config.file, 'poller', 'start', '--once'], tree);
  const usage = await running.ended;
  const servers = (await serversCpu()) - before;
  const times = await appendTimes(kafka, [config.topic], rows);
  await admin.deleteTopics([config.topic]);
  return roundOf(usage, servers, rows, times);
}

/** @param servers CPU seconds of the servers @param times of the first and the last append, in ms */
export function roundOf(
  usage: Usage,
  servers: number,
  rows: number,
  { first, last }: { readonly first: number; readonly last: number },
): SnapshotRound {
  const per = 100_000 / rows;
  return {
    ...usage,
    rowsPerSecond: rows / ((last - first) / 1000),
    cpuSecondsPer100k: usage.cpuSeconds * per,
    allCpuSecondsPer100k: (usage.cpuSeconds + servers) * per,
  };
}

/** CPU seconds that the broker and the source's Postgres have taken so far. */
export async function serversCpu(): Promise<number> {
  const { processes } = await testStack();
  const servers = processes.filter(({ name }) => name === 'kafka' || name === 'postgres-legacy');
  const taken = await Promise.all(servers.map(({ pid }) => cpuOfServer(pid)));
  return taken.reduce((sum, seconds) => sum + seconds, 0);
}

/** The broker's clock at the first and the last of `rows` rows. @throws Error when a row is there twice */
export async function appendTimes(
  kafka: Kafka,
  topics: readonly string[],
  rows: number,
): Promise<{ readonly first: number; readonly last: number }> {
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  const keys = new Set<string>();
  let events = 0;
  const done = Promise.withResolvers<void>();
  await using consumer = await kafka.consumer({
    groupId: uniqueName('bench'),
    topics,
    onBatch: async ({ topic, messages }) => {
      for (const { key, timestamp } of messages) {
        first = Math.min(first, timestamp);
        last = Math.max(last, timestamp);
        keys.add(`${topic} ${String(key)}`);
      }
      events += messages.length;
      if (keys.size >= rows) done.resolve();
    },
  });
  consumer.closed.catch(done.reject);
  await done.promise;
  if (events !== rows) throw new Error(`${events} events for ${rows} rows`);
  return { first, last };
}
