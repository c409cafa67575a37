import { stat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Kafka } from '#kafka/index.ts';
import type { WireFormat } from '#pipeline/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { measureCdc } from '../harness/measured-process.ts';
import { writeBenchConfig } from '../poller/config-file.ts';

/** A topic that a poller has filled, and what that took. */
export type LoadedTopic = { readonly prefix: string; readonly figures: LoadFigures };

export type LoadFigures = {
  /** From the broker's first append to its last. */
  readonly rowsPerSecond: number;
  readonly cpuSecondsPer100k: number;
  /** Key and value of an event, as a consumer decodes them. */
  readonly bytes: number;
  /** What an event takes in the log, after the producer's zstd, with the batch's own share. */
  readonly storedBytes: number;
};

/** Loads the table with `cdc poller start --once` into a topic of its own. */
export async function loadTopic(database: LegacyDatabase, rows: number, format: WireFormat): Promise<LoadedTopic> {
  const kafka = await testKafka();
  await using config = await writeBenchConfig(database, { client: 'platformatic', poller: { format } });
  await using admin = await kafka.admin();
  const spec = { topic: config.topic, partitions: 3, replicationFactor: 1, config: { 'message.timestamp.type': 'LogAppendTime' } };
  await admin.ensureTopics([spec]);
  await using running = measureCdc(['--config', config.file, 'poller', 'start', '--once']);
  const { cpuSeconds } = await running.ended;
  const { first, last, bytes } = await readTopic(kafka, config.topic, rows);
  return {
    prefix: config.pollerName,
    figures: {
      rowsPerSecond: rows / ((last - first) / 1000),
      cpuSecondsPer100k: (cpuSeconds / rows) * 100_000,
      bytes: bytes / rows,
      storedBytes: (await storedBytes(config.topic)) / rows,
    },
  };
}

async function readTopic(
  kafka: Kafka,
  topic: string,
  rows: number,
): Promise<{ readonly first: number; readonly last: number; readonly bytes: number }> {
  let [first, last, bytes, events] = [Number.POSITIVE_INFINITY, 0, 0, 0];
  const keys = new Set<string>();
  const done = Promise.withResolvers<void>();
  await using consumer = await kafka.consumer({
    groupId: uniqueName('bench'),
    topics: [topic],
    onBatch: async ({ messages }) => {
      for (const { key, value, timestamp } of messages) {
        first = Math.min(first, timestamp);
        last = Math.max(last, timestamp);
        bytes += (key?.length ?? 0) + (value?.length ?? 0);
        keys.add(key?.toString('latin1') ?? '');
      }
      events += messages.length;
      if (keys.size >= rows) done.resolve();
    },
  });
  consumer.closed.catch(done.reject);
  await done.promise;
  if (events !== rows) throw new Error(`${events} events for ${rows} rows`);
  return { first, last, bytes };
}

/** The log's files themselves: no client gives the size of what it reads before it is unpacked. */
async function storedBytes(topic: string): Promise<number> {
  const { processes } = await testStack();
  const broker = processes.find(({ name }) => name === 'kafka');
  if (broker === undefined) throw new Error('the stack has no process kafka');
  const data = join(dirname(dirname(broker.log)), 'kafka', 'data');
  const folders = (await readdir(data)).filter((name) => name.startsWith(`${topic}-`));
  const files = await Promise.all(folders.map(async (name) => (await readdir(join(data, name))).map((file) => join(data, name, file))));
  const sizes = await Promise.all(
    files
      .flat()
      .filter((file) => file.endsWith('.log'))
      .map(async (file) => (await stat(file)).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
