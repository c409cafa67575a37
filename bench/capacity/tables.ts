/**
 * `npm run bench:capacity [-- <tables> <processes> <connections> <seconds> <shortest interval, ms> <longest>]`: that many small tables, really polled
 * by one group of processes on a stack of its own. How long until each table has been read, and what they cost while nobody writes: CPU of pollers, Postgres and broker, memory,
 * connections. Then one row in each of 100 tables: how long until the last of them is in Kafka. Writes bench/results/capacity-<tables>.md. Asserts nothing.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { connectKafka } from '#kafka/index.ts';
import { pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { describeLoad, describeMachine } from '../harness/machine.ts';
import { cpuOfServer, usageOf } from '../harness/process-usage.ts';
import { withBenchStack } from '../harness/stack.ts';
import { makeTables, polledTables, serverPids, startPoller, type Poller } from './many-tables.ts';

const [tables = 2000, processes = 2, connections = 10, idleSeconds = 60, minIntervalMs = 1000, maxIntervalMs = 5000] = process.argv
  .slice(2)
  .map(Number);
const controller = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => controller.abort(new Error(`stopped by ${name}`)));
const { signal } = controller;
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};
const changed = Math.min(100, tables);
const intervalMs = { minIntervalMs, maxIntervalMs };

await withBenchStack(signal, say, main);

async function main(): Promise<void> {
  await using database = await createLegacyDatabase({ empty: true });
  say(`making ${tables} tables`);
  for (let from = 0; from < tables; from += 100) await makeTables(database, from, Math.min(from + 100, tables));
  const { kafka } = await testStack();
  const name = uniqueName('capacity');
  const folder = await mkdtemp(join(tmpdir(), 'cdc-bench-capacity-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));
  const began = performance.now();
  const pollers: Poller[] = [];
  for (let process = 0; process < processes; process += 1) {
    const port = await getPort({ host: '127.0.0.1' });
    const file = join(folder, `pipeline-${process}.json`);
    const config = {
      legacyDb: database.config,
      kafka: { brokers: kafka.brokers, partitions: 1, replicationFactor: 1 },
      poller: { name, topicPrefix: name, ...intervalMs, connections, http: { port }, tables: [{ table: 'public.t_*' }] },
    };
    pipelineSchema.parse(config);
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    pollers.push(cleanup.use(startPoller(file, port)));
  }
  const polled = async (): Promise<number> => {
    const answers = await Promise.all(pollers.map(({ port }) => polledTables(port)));
    return answers.reduce((sum, count) => sum + count, 0);
  };
  for (let shown = -1; ;) {
    signal.throwIfAborted();
    const count = await polled();
    if (count !== shown) say(`${seconds(began)} s: ${count} of ${tables} tables are polled`);
    shown = count;
    if (count >= tables) break;
    for (const { child, log } of pollers) if (child.exitCode !== null) throw new Error(`a poller has ended:\n${log()}`);
    await delay(1000, undefined, { signal });
  }
  const startSeconds = seconds(began);

  say(`measuring ${idleSeconds} s in which nobody writes`);
  const pids = await serverPids(['postgres-legacy', 'kafka']);
  const costs = async (): Promise<number[]> => [
    ...(await Promise.all(pollers.map(async ({ child }) => (await usageOf(child.pid ?? 0)).cpuSeconds))),
    ...(await Promise.all(pids.map(({ pid }) => cpuOfServer(pid)))),
  ];
  const before = await costs();
  await delay(idleSeconds * 1000, undefined, { signal });
  const after = await costs();
  const cores = after.map((cpu, index) => (cpu - (before[index] ?? 0)) / idleSeconds);
  const sessions = await database.queryAs(
    { ...database.superuser, database: database.name },
    "SELECT count(*)::text AS sessions FROM pg_stat_activity WHERE application_name LIKE 'cdc-poller%' AND datname = current_database()",
  );
  const memory = await Promise.all(
    [...pollers.map(({ child }) => child.pid ?? 0), ...pids.map(({ pid }) => pid)].map(async (pid) => (await usageOf(pid)).peakRssMib),
  );

  say(`one row in each of ${changed} tables`);
  const latencyMs = await changeAndSee(database, name, kafka.brokers);
  const stopping = performance.now();
  await cleanup.disposeAsync();
  const stopSeconds = seconds(stopping);
  const rows = [
    ['tables; processes; connections each', `${tables}; ${processes}; ${connections}`],
    ['from start until every table has been read', `${startSeconds} s`],
    [`CPU of each process while nobody writes, cores`, cores.slice(0, processes).map(fixed).join(', ')],
    ...pids.map(({ name: server }, index) => [`CPU of ${server} meanwhile, cores`, fixed(cores[processes + index] ?? 0)]),
    ['connections to the legacy database', sessions[0]?.['sessions'] ?? ''],
    [
      'CPU of each process until then, its start and all first loads, s',
      before
        .slice(0, processes)
        .map((cpu) => cpu.toFixed(1))
        .join(', '),
    ],
    ...pids.map(({ name: server }, index) => [`CPU of ${server} until then, s`, (before[processes + index] ?? 0).toFixed(1)]),
    [
      'peak RSS of each process, MiB',
      memory
        .slice(0, processes)
        .map((mib) => mib.toFixed(0))
        .join(', '),
    ],
    ...pids.map(({ name: server }, index) => [`peak RSS of ${server}'s first process, MiB`, (memory[processes + index] ?? 0).toFixed(0)]),
    [`commit of a row in each of ${changed} tables → the last is in Kafka`, `${Math.round(latencyMs)} ms`],
    ['orderly end', `${stopSeconds} s`],
  ];
  const text = `# Many tables, one group

${new Date().toISOString().slice(0, 16)}Z; ${describeMachine()}; load average ${describeLoad()} at the end. Written by \`npm run bench:capacity -- ${[tables, processes, connections, idleSeconds, minIntervalMs, maxIntervalMs].join(' ')}\`.
Interval ${intervalMs.minIntervalMs} to ${intervalMs.maxIntervalMs} ms. Each table has ten rows; Postgres and Kafka share the processors.

| | |
|---|---|
${rows.map(([what, value]) => `| ${what} | ${value} |`).join('\n')}
`;
  await writeFile(join(import.meta.dirname, `../results/capacity-${tables}.md`), text);
  process.stdout.write(text);
}

async function changeAndSee(database: LegacyDatabase, name: string, brokers: string): Promise<number> {
  const { kafka } = pipelineSchema.parse({ legacyDb: database.config, kafka: { brokers } });
  await using admin = await connectKafka(kafka, silentLogger).admin();
  const topics = Array.from({ length: changed }, (_, index) => `${name}.public.t_${String(index).padStart(5, '0')}`);
  const ends = async (): Promise<readonly bigint[]> =>
    Promise.all(topics.map(async (topic) => (await admin.offsetsOf(topic)).reduce((sum, { high }) => sum + high, 0n)));
  const before = await ends();
  for (let index = 0; index < changed; index += 1)
    await database.query(`UPDATE t_${String(index).padStart(5, '0')} SET value = 'new', updated_at = clock_timestamp() WHERE id = 1`);
  const written = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const now = await ends();
    if (now.every((end, index) => end > (before[index] ?? 0n))) return performance.now() - written;
    await delay(50, undefined, { signal });
  }
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 100) / 10;
}

function fixed(cores: number): string {
  return cores.toFixed(3);
}
