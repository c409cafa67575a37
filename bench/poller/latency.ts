import { setTimeout as delay } from 'node:timers/promises';
import { decodeChangeEvent } from '#change-events/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { untilStatus } from '#test/support/poller.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { uniqueName } from '#test/support/stack.ts';
import { measureCdc } from '../harness/measured-process.ts';
import { percentile } from '../harness/statistics.ts';
import { writeBenchConfig } from './config-file.ts';

export type LatencyRound = {
  readonly updates: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
};

const updatesPerSecond = 200;

/** From a commit's answer in the writer to the broker's append of the event (its clock; one machine has one clock), in ms. */
export async function measureLatency(
  database: LegacyDatabase,
  { client, pollIntervalMs, seconds }: { readonly client: string; readonly pollIntervalMs: number; readonly seconds: number },
): Promise<LatencyRound> {
  const kafka = await testKafka();
  await using config = await writeBenchConfig(database, { client, poller: { pollIntervalMs } });
  await using admin = await kafka.admin();
  const spec = { topic: config.topic, partitions: 3, replicationFactor: 1, config: { 'message.timestamp.type': 'LogAppendTime' } };
  await admin.ensureTopics([spec]);
  await using running = measureCdc(['--config', config.file, 'poller', 'start']);
  const watched = await testPipelineConfig(database, { name: config.pollerName, tables: [{ table: 'public.orders' }] });
  await untilStatus(watched, ({ phase }) => phase === 'polling', 120_000);

  const appended = new Map<string, number>();
  const group = uniqueName('bench');
  await using consumer = await kafka.consumer({
    groupId: group,
    topics: [config.topic],
    onBatch: async ({ topic, partition, messages }) => {
      for (const { value, offset, timestamp } of messages) {
        const note = decodeChangeEvent(value, { topic, partition, offset: offset.toString() })?.after?.['note'];
        if (typeof note === 'string' && note.startsWith(group)) appended.set(note, timestamp);
      }
    },
  });
  let failure: unknown = null;
  consumer.closed.catch((error: unknown) => {
    failure = error;
  });
  const committed = await update(database, group, seconds);
  for (let waited = 0; appended.size < committed.size && waited < 200; waited += 1) await delay(100);
  if (failure !== null) throw new Error('the observer of the topic ended', { cause: failure });
  running.child.kill('SIGTERM');
  await running.ended;
  await admin.deleteTopics([config.topic]);
  const latencies = [...committed].map(([note, at]) => (appended.get(note) ?? Number.POSITIVE_INFINITY) - at);
  return {
    updates: committed.size,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: Math.max(...latencies),
  };
}

/** Single-row transactions, each on a row of its own, at an even pace. */
async function update(database: LegacyDatabase, mark: string, seconds: number): Promise<ReadonlyMap<string, number>> {
  const committed = new Map<string, number>();
  const startedAt = performance.now();
  const total = updatesPerSecond * seconds;
  for (let index = 0; index < total; index += 1) {
    const due = startedAt + (index * 1000) / updatesPerSecond;
    const wait = due - performance.now();
    if (wait > 1) await delay(wait);
    const note = `${mark} ${index}`;
    await database.query('UPDATE orders SET note = $1 WHERE id = $2', [note, index + 1]);
    committed.set(note, Date.now());
  }
  return committed;
}
