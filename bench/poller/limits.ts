import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requireJava, resolveJars } from '#stack/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { pollerParts } from '#test/support/poller-parts.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

export type LimitRound = { readonly rowsPerSecond: number; readonly cpuSecondsPer100k: number | null };

const pageRows = 1000;
const run = promisify(execFile);

/** The poller's queries one after the other, nothing done with the rows; with `encode`, the events' texts are made of them. In this process. */
export async function measureReading(
  database: LegacyDatabase,
  rows: number,
  { encode }: { readonly encode: boolean },
): Promise<LimitRound> {
  await using parts = await pollerParts(database, 'public.orders');
  const startedAt = performance.now();
  const before = process.cpuUsage();
  let read = 0;
  await parts.readAll(pageRows, (page) => {
    read += encode ? parts.encode(page).length : page.length;
  });
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - startedAt) / 1000;
  if (read !== rows) throw new Error(`${read} of ${rows} rows`);
  return { rowsPerSecond: rows / seconds, cpuSecondsPer100k: ((user + system) / 1e6 / rows) * 100_000 };
}

/**
 * Kafka's own load generator with the poller's events as its payload, as many, as transactions, zstd, acks=all: what the broker and the Java client do
 * when nothing has to be read or encoded.
 */
export async function measureProducerPerformance(database: LegacyDatabase, rows: number, signal: AbortSignal): Promise<LimitRound> {
  const { kafka } = await testStack();
  const folder = await mkdtemp(join(tmpdir(), 'cdc-bench-payload-'));
  const topic = uniqueName('perf');
  const client = await testKafka();
  await using admin = await client.admin();
  await admin.ensureTopics([{ topic, partitions: 3, replicationFactor: 1 }]);
  try {
    const payload = join(folder, 'events');
    await writeFile(payload, await sampleEvents(database));
    const jars = await resolveJars('kafka', { signal, progress: () => undefined });
    const settings = [`bootstrap.servers=${kafka.brokers}`, 'acks=all', 'compression.type=zstd', 'batch.size=131072', 'linger.ms=5'];
    const args = ['-Xmx512m', '-cp', join(jars, '*'), 'org.apache.kafka.tools.ProducerPerformance', '--topic', topic, '--throughput', '-1'];
    const transactions = ['--transactional-id', topic, '--transaction-duration-ms', '200'];
    const { stdout } = await run(
      await requireJava(),
      [...args, '--num-records', String(rows), '--payload-file', payload, ...transactions, '--producer-props', ...settings],
      { signal },
    );
    const rate = /sent, (?<rate>[\d.,]+) records\/sec/.exec(stdout.trim().split('\n').at(-1) ?? '')?.groups?.['rate'];
    if (rate === undefined) throw new Error(`ProducerPerformance said:\n${stdout}`);
    return { rowsPerSecond: Number(rate.replaceAll(',', '')), cpuSecondsPer100k: null };
  } finally {
    await rm(folder, { recursive: true, force: true });
    await admin.deleteTopics([topic]);
  }
}

/** A few thousand events, one a line: the generator draws from them. */
async function sampleEvents(database: LegacyDatabase): Promise<string> {
  await using parts = await pollerParts(database, 'public.orders');
  const rows = await parts.read(parts.pageAfter(null, 5000));
  return parts
    .encode(rows)
    .map(([, value]) => `${value.toString()}\n`)
    .join('');
}
