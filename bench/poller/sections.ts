import { describeLoad } from '../harness/machine.ts';
import { median, spread } from '../harness/statistics.ts';
import { measureLatency } from './latency.ts';
import { measureProducerPerformance, measureReading, type LimitRound } from './limits.ts';
import { createOrders } from './orders-table.ts';
import { measurePage } from './page-cost.ts';
import { measureSideBySide } from './side-by-side.ts';
import { measureSnapshot, type SnapshotRound } from './snapshot.ts';

/** Markdown. */
export type Section = string;

type Say = (line: string) => void;

/** A limit has no memory or process of its own to report. */
type Taken = LimitRound & Partial<Pick<SnapshotRound, 'peakRssMib' | 'wallSeconds'>>;

const clients: readonly string[] = ['kafkajs', 'platformatic'];
const rows = 200_000;
/** Rounds that count; one before them warms the servers up. */
const rounds = 3;

/** Rounds of several contenders in turn, so that what else the machine does meets all of them; the first of each does not count. */
async function inTurn<T>(
  say: Say,
  contenders: Readonly<Record<string, () => Promise<T>>>,
  describe: (round: T) => string,
): Promise<Map<string, T[]>> {
  const taken = new Map<string, T[]>();
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, run] of Object.entries(contenders)) {
      const result = await run();
      say(`${name}: ${describe(result)} (load ${describeLoad()}${round === 0 ? ', warm-up' : ''})`);
      if (round > 0) taken.set(name, [...(taken.get(name) ?? []), result]);
    }
  }
  return taken;
}

/** 200,000 rows of table orders: the poller with either client, and in turn with it what it cannot be faster than. */
export async function loadSnapshots(say: Say, signal: AbortSignal): Promise<Section> {
  await using database = await createOrders(rows);
  const contenders: Record<string, () => Promise<Taken>> = {
    'reading alone': () => measureReading(database, rows, { encode: false }),
    'reading and encoding': () => measureReading(database, rows, { encode: true }),
    'ProducerPerformance, same bytes': () => measureProducerPerformance(database, rows, signal),
  };
  for (const client of clients) contenders[`poller, ${client}`] = () => measureSnapshot(database, rows, client);
  const taken = await inTurn<Taken>(say, contenders, ({ rowsPerSecond }) => `${Math.round(rowsPerSecond).toLocaleString('en-US')} rows/s`);
  const limit = median((taken.get('reading and encoding') ?? []).map(({ rowsPerSecond }) => rowsPerSecond));
  const lines = [...taken].map(([name, results]) => {
    const speed = results.map(({ rowsPerSecond }) => rowsPerSecond);
    const cpu = results.flatMap(({ cpuSecondsPer100k }) => (cpuSecondsPer100k === null ? [] : [cpuSecondsPer100k]));
    const memory = results.flatMap(({ peakRssMib }) => (peakRssMib === undefined ? [] : [peakRssMib]));
    const wall = results.flatMap(({ wallSeconds }) => (wallSeconds === undefined ? [] : [wallSeconds]));
    const cells = [
      spread(speed),
      (median(speed) / limit).toFixed(2),
      cpu.length === 0 ? '' : spread(cpu, 2),
      memory.length === 0 ? '' : spread(memory),
      wall.length === 0 ? '' : spread(wall, 1),
    ];
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return `## Load of ${rows.toLocaleString('en-US')} rows

Full envelope, one Kafka transaction for events and position, zstd. Median (lowest–highest) of ${rounds} rounds in turn; load ${describeLoad()}. The poller is \`cdc poller start --once\`
as a process: rows/s from the broker's first append to its last; CPU, memory and time are the whole process', its start included.

| | rows/s | of reading and encoding | CPU s per 100,000 rows | peak RSS, MiB | whole process, s |
|---|---|---|---|---|---|
${lines.join('\n')}
`;
}

/** 200 single-row updates a second. */
export async function measureLatencies(say: Say): Promise<Section> {
  await using database = await createOrders(20_000);
  const lines: string[] = [];
  for (const pollIntervalMs of [100, 5000]) {
    for (const client of clients) {
      const seconds = pollIntervalMs < 1000 ? 20 : 30;
      const { updates, p50Ms, p99Ms, maxMs } = await measureLatency(database, { client, pollIntervalMs, seconds });
      lines.push(
        `| ${pollIntervalMs} ms | ${client} | ${updates} | ${p50Ms} | ${p99Ms} | ${maxMs} | ${p99Ms - pollIntervalMs} | ${describeLoad()} |`,
      );
      say(lines.at(-1) ?? '');
    }
  }
  return `## Latency: commit to topic

200 single-row updates per second; from the commit's answer to the broker's append, in ms.

| poll interval | client | updates | p50 | p99 | max | p99 beyond the interval | load |
|---|---|---|---|---|---|---|---|
${lines.join('\n')}
`;
}

/** A page in the middle of two million rows. */
export async function measurePages(say: Say): Promise<Section> {
  const many = 2_000_000;
  await using database = await createOrders(many);
  const taken = await inTurn(say, { page: () => measurePage(database, many) }, ({ serverMs }) => `${serverMs} ms in the server`);
  const costs = taken.get('page') ?? [];
  return `## A page of 1,000 rows in the middle of ${many.toLocaleString('en-US')}

Server ${spread(
    costs.map(({ serverMs }) => serverMs),
    2,
  )} ms, asked and received ${spread(
    costs.map(({ clientMs }) => clientMs),
    2,
  )} ms; load ${describeLoad()}.
`;
}

/** Table rows of loads: rate, CPU of the poller and of all, memory. */
async function loadsInTurn(say: Say, contenders: Readonly<Record<string, () => Promise<SnapshotRound>>>): Promise<readonly string[]> {
  const taken = await inTurn(say, contenders, ({ rowsPerSecond, cpuSecondsPer100k, allCpuSecondsPer100k, peakRssMib }) => {
    const speed = Math.round(rowsPerSecond).toLocaleString('en-US');
    return `${speed} rows/s, ${cpuSecondsPer100k.toFixed(2)} CPU s, all ${allCpuSecondsPer100k.toFixed(2)}, ${Math.round(peakRssMib)} MiB`;
  });
  return [...taken].map(([name, results]) => {
    const cells = [
      spread(results.map(({ rowsPerSecond }) => rowsPerSecond)),
      spread(
        results.map(({ cpuSecondsPer100k }) => cpuSecondsPer100k),
        2,
      ),
      spread(
        results.map(({ allCpuSecondsPer100k }) => allCpuSecondsPer100k),
        2,
      ),
      spread(results.map(({ peakRssMib }) => peakRssMib)),
    ];
    return `| ${name} | ${cells.join(' | ')} |`;
  });
}

/** Memory does not grow with the table. With BENCH_TREE, another checkout's poller loads the same rows in turn. BENCH_ROWS takes fewer. Without it, threads for the load are compared with the default. */
export async function loadMillion(say: Say): Promise<Section> {
  const many = Number(process.env['BENCH_ROWS'] ?? 1_000_000);
  const other = process.env['BENCH_TREE'];
  await using database = await createOrders(many);
  const contenders: Record<string, () => Promise<SnapshotRound>> = {};
  for (const client of clients) {
    contenders[client] = () => measureSnapshot(database, many, client);
    if (other !== undefined) contenders[`${client}, other checkout`] = () => measureSnapshot(database, many, client, { tree: other });
    else contenders[`${client}, loadWorkers: 2`] = () => measureSnapshot(database, many, client, { poller: { loadWorkers: 2 } });
  }
  const lines = await loadsInTurn(say, contenders);
  return `## Load of ${many.toLocaleString('en-US')} rows

Median (lowest–highest) of ${rounds} rounds in turn; load ${describeLoad()}. All processes: poller, Postgres and broker together.

| | rows/s | CPU s per 100,000 rows | the same, all processes | peak RSS, MiB |
|---|---|---|---|---|
${lines.join('\n')}
`;
}

/** Eight tables of 50,000 rows: by one thread, and by two that share them. On more processors BENCH_THREADS takes more. */
export async function loadSideBySide(say: Say): Promise<Section> {
  const most = Number(process.env['BENCH_THREADS'] ?? 2);
  const contenders = Object.fromEntries(
    clients.flatMap((client) =>
      [1, most].map((threads) => [`${client}, threads: ${threads}`, () => measureSideBySide(50_000, threads, client)]),
    ),
  );
  const lines = await loadsInTurn(say, contenders);
  return `## Load of eight tables of 50,000 rows

Median (lowest–highest) of ${rounds} rounds in turn; load ${describeLoad()}. Start and joining the group included in CPU. All processes: poller, Postgres and broker together.

| | rows/s | CPU s per 100,000 rows | the same, all processes | peak RSS, MiB |
|---|---|---|---|---|
${lines.join('\n')}
`;
}
