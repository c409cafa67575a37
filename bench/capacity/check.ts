/**
 * `npm run bench:capacity -- check`: the model's unit costs at three sizes that fit one machine: idle tables, rows loaded, changes applied. Some sizes
 * calibrate, the others are predicted, and what was measured is printed beside them. Writes bench/results/capacity-model.md. Asserts nothing.
 */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { createReadModel } from '#test/support/read-model.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { describeLoad, describeMachine } from '../harness/machine.ts';
import { measureCdc } from '../harness/measured-process.ts';
import { cpuOfServer, usageOf } from '../harness/process-usage.ts';
import { withBenchStack } from '../harness/stack.ts';
import { writeBenchConfig } from '../poller/config-file.ts';
import { createOrders } from '../poller/orders-table.ts';
import { makeTables, polledTables, serverPids, startPoller } from './many-tables.ts';
import { unitCosts } from './unit-costs.ts';

const idleTables = [20, 60, 180] as const;
const idleSeconds = 20;
const idleIntervalMs = 2000;
const loadedRows = [50_000, 200_000, 600_000] as const;
const changeRates = [200, 800, 2000] as const;
const changeSeconds = 15;
const pollsPerSecond = 10;

/** CPU seconds by process; `rss` in MiB where it was looked at. */
type Cpu = Readonly<Record<string, number>>;
type Row = { readonly size: string; readonly what: string; readonly predicted: number | null; readonly measured: number };

const controller = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => controller.abort(new Error(`stopped by ${name}`)));
const { signal } = controller;
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

await withBenchStack(signal, say, main);

async function main(): Promise<void> {
  const loadBefore = describeLoad();
  const idle = await checkIdle();
  const loads = await checkLoads();
  const changes = await checkChanges();
  const page = `# The capacity model, checked

${new Date().toISOString().slice(0, 16)}Z; ${describeMachine()}; load average ${loadBefore} before, ${describeLoad()} after: above two, others were at work, so that CPU seconds say more than rates. Written by \`npm run bench:capacity -- check\`.

Some sizes of each part calibrate, the others are predicted from them, after a round that warms the servers up: no figure is fitted to the one that it is compared with.

## Idle tables

One process, ten connections, each table polled every ${idleIntervalMs / 1000} s for ${idleSeconds} s. CPU s in that time. What the servers take with no poller at all (${idle.base}) is taken off.
By the line through 20 and 60 tables, a poll takes ${idle.unit}, and the processes besides ${idle.process} in the ${idleSeconds} s. Memory by the same line: ${idle.memory}.
Between 60 and 180 tables a poll took ${idle.larger}: what the model counts with, because it is for many tables.

${tableOf(idle.rows)}
## Rows loaded

\`cdc poller start --once\` of the order table, whole processes. A start with an empty table takes ${loads.base} CPU s; each row more by what 200,000 took. Per 100,000 rows: ${loads.unit}.

${tableOf(loads.rows)}
## Changes applied

Updates of single rows, polled every 100 ms, applied to a mirror alone; ${changeSeconds} s each, CPU s in that time. The rows' own cost is that of [poller.md](poller.md) and [read-model.md](read-model.md);
what a poll or a batch costs besides is calibrated at 800 a second: ${changes.unit}. The source's Postgres is left out, because the writer is in its figure.

${tableOf(changes.rows)}`;
  await writeFile(join(import.meta.dirname, '../results/capacity-model.md'), page);
  process.stdout.write(page);
}

type IdleCheck = Readonly<Record<'base' | 'unit' | 'process' | 'larger' | 'memory', string>> & { readonly rows: readonly Row[] };

async function checkIdle(): Promise<IdleCheck> {
  const servers = await serverPids(['postgres-legacy', 'kafka']);
  const names = ['poller', ...servers.map(({ name }) => name)];
  const quiet = await spent(servers, idleSeconds);
  const measured: { readonly tables: number; readonly cpu: Cpu; readonly rss: number }[] = [];
  // The first round warms the broker up: its code is compiled as it goes.
  for (const [round, tables] of [idleTables[1], ...idleTables].entries()) {
    say(`${tables} idle tables`);
    await using database = await createLegacyDatabase({ empty: true });
    await makeTables(database, 0, tables);
    const { kafka } = await testStack();
    const [name, port] = [uniqueName('capacity'), await getPort({ host: '127.0.0.1' })];
    const folder = await mkdtemp(join(tmpdir(), 'cdc-bench-capacity-'));
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'pipeline.json');
    // Looks for new tables are left out of what is measured.
    const pace = { pollIntervalMs: idleIntervalMs, connections: 10, discoveryIntervalMs: 3_600_000 };
    const poller = { name, topicPrefix: name, ...pace, http: { port }, tables: [{ table: 'public.t_*' }] };
    await writeFile(file, JSON.stringify({ legacyDb: database.config, kafka: { brokers: kafka.brokers, partitions: 1 }, poller }), {
      mode: 0o600,
    });
    const { child, log } = cleanup.use(startPoller(file, port));
    while ((await polledTables(port)) < tables) {
      if (child.exitCode !== null) throw new Error(`the poller has ended:\n${log()}`);
      await delay(500, undefined, { signal });
    }
    // What the first polls compile is no part of what an idle one costs.
    await delay(5 * idleIntervalMs, undefined, { signal });
    const pid = child.pid ?? 0;
    const cpu = await spent([{ name: 'poller', pid }, ...servers], idleSeconds);
    if (round > 0) measured.push({ tables, cpu: less(cpu, quiet), rss: (await usageOf(pid)).peakRssMib });
  }
  const [few, some, most] = [at(measured, 0), at(measured, 1), at(measured, 2)];
  const unit = perPollBetween(few, some);
  const besides = Object.fromEntries(names.map((name) => [name, (few.cpu[name] ?? 0) - (unit[name] ?? 0) * polls(few.tables)]));
  const perTable = (some.rss - few.rss) / (some.tables - few.tables);
  const base = few.rss - perTable * few.tables;
  const rows = measured.flatMap(({ tables, cpu, rss }): Row[] => [
    ...names.map((name) => ({
      size: `${tables} tables`,
      what: `${name}, CPU s`,
      predicted: tables === most.tables ? (besides[name] ?? 0) + (unit[name] ?? 0) * polls(tables) : null,
      measured: cpu[name] ?? 0,
    })),
    {
      size: `${tables} tables`,
      what: 'poller, peak RSS MiB',
      predicted: tables === most.tables ? base + perTable * tables : null,
      measured: rss,
    },
  ]);
  return {
    rows,
    base: listed(quiet, 1, 'CPU s'),
    unit: listed(unit, 1000, 'CPU ms'),
    process: listed(besides, 1, 'CPU s'),
    larger: `${listed(perPollBetween(some, most), 1000, 'CPU ms')}, and a table ${((most.rss - some.rss) / (most.tables - some.tables)).toFixed(2)} MiB`,
    memory: `${base.toFixed(0)} MiB and ${perTable.toFixed(2)} MiB a table`,
  };
}

type IdleRound = { readonly tables: number; readonly cpu: Cpu };

function polls(tables: number): number {
  return (tables / idleIntervalMs) * 1000 * idleSeconds;
}

/** CPU seconds of a poll, from what more tables took more. */
function perPollBetween(fewer: IdleRound, more: IdleRound): Cpu {
  const taken = less(more.cpu, fewer.cpu);
  return Object.fromEntries(Object.entries(taken).map(([name, seconds]) => [name, seconds / (polls(more.tables) - polls(fewer.tables))]));
}

async function checkLoads(): Promise<{ readonly rows: readonly Row[]; readonly base: string; readonly unit: string }> {
  const measured: { readonly count: number; readonly cpu: Cpu }[] = [];
  for (const [round, count] of [loadedRows[1], 0, ...loadedRows].entries()) {
    say(`${count} rows loaded`);
    await using database = await createOrders(count);
    await using config = await writeBenchConfig(database, { client: 'kafkajs' });
    const servers = await serverPids(['postgres-legacy', 'kafka']);
    const before = await cpuOf(servers);
    await using running = measureCdc(['--config', config.file, 'poller', 'start', '--once']);
    const { cpuSeconds } = await running.ended;
    if (round > 0) measured.push({ count, cpu: { poller: cpuSeconds, ...less(await cpuOf(servers), before) } });
  }
  const [empty, calibrated] = [at(measured, 0), at(measured, 2)];
  const more = less(calibrated.cpu, empty.cpu);
  const rows = measured.slice(1).flatMap(({ count, cpu }) =>
    Object.entries(cpu).map(([name, seconds]): Row => {
      const predicted = (empty.cpu[name] ?? 0) + ((more[name] ?? 0) * count) / calibrated.count;
      return {
        size: `${count.toLocaleString('en-US')} rows`,
        what: `${name}, CPU s`,
        predicted: count === calibrated.count ? null : predicted,
        measured: seconds,
      };
    }),
  );
  return { rows, base: listed(empty.cpu, 1, ''), unit: listed(more, 100_000 / calibrated.count, 'CPU s') };
}

async function checkChanges(): Promise<{ readonly rows: readonly Row[]; readonly unit: string }> {
  // Postgres and the broker were measured together: half each.
  const serversPerRow = unitCosts.loadAll.value - unitCosts.loadPoller.value;
  const perRow: Cpu = {
    poller: unitCosts.loadPoller.value / 100_000,
    kafka: serversPerRow / 2 / 100_000,
    'read model': unitCosts.applyMirror.value / 100_000,
    'postgres-read': unitCosts.applyMirrorDatabase.value / 100_000,
  };
  const rowsOfTable = 20_000;
  await using database = await createOrders(rowsOfTable);
  await using config = await writeBenchConfig(database, { client: 'kafkajs', poller: { pollIntervalMs: 1000 / pollsPerSecond } });
  await using model = await createReadModel({ topics: false, prefix: config.pollerName });
  await model.read.query('CREATE TABLE model.plain_orders (LIKE model.orders INCLUDING ALL)');
  await model.read.query("UPDATE model.mirrored_tables SET mirror_table = 'plain_orders' WHERE source_table = 'orders'");
  await using poller = startPoller(config.file, 0);
  const child = model.spawn();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    if (child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  });
  const applied = async (): Promise<number> => {
    const [row] = await model.read.query("SELECT count(*) AS number FROM model.plain_orders WHERE note = 'last'");
    return Number(row?.['number']);
  };
  const untilLast = async (): Promise<void> => {
    await database.query("UPDATE orders SET note = 'last', updated_at = clock_timestamp() WHERE id = (SELECT max(id) FROM orders)");
    while ((await applied()) === 0) {
      for (const one of [poller.child, child]) if (one.exitCode !== null) throw new Error(`a process has ended:\n${poller.log()}`);
      await delay(100, undefined, { signal });
    }
  };
  await untilLast();
  const processes = [
    { name: 'poller', pid: poller.child.pid ?? 0 },
    { name: 'read model', pid: child.pid ?? 0 },
    ...(await serverPids(['kafka', 'postgres-read'])),
  ];
  const measured: { readonly rate: number; readonly written: number; readonly seconds: number; readonly cpu: Cpu }[] = [];
  // The first seconds of changes meet cold code.
  await writeChanges(database.query, 800, 15, rowsOfTable);
  for (const rate of changeRates) {
    say(`${rate} changes a second`);
    const before = await cpuOf(processes);
    const { written, seconds } = await writeChanges(database.query, rate, changeSeconds, rowsOfTable);
    measured.push({ rate, written, seconds, cpu: less(await cpuOf(processes), before) });
  }
  const calibrated = at(measured, 1);
  const perPoll = Object.fromEntries(
    Object.entries(perRow).map(([name, row]) => [
      name,
      ((calibrated.cpu[name] ?? 0) - row * calibrated.written) / (calibrated.seconds * pollsPerSecond),
    ]),
  );
  const rows = measured.flatMap(({ rate, written, seconds, cpu }) =>
    Object.keys(perRow).map((name): Row => {
      const predicted = (perPoll[name] ?? 0) * seconds * pollsPerSecond + (perRow[name] ?? 0) * written;
      return {
        size: `${rate} a second (${written.toLocaleString('en-US')} in ${seconds.toFixed(1)} s)`,
        what: `${name}, CPU s`,
        predicted: rate === calibrated.rate ? null : predicted,
        measured: cpu[name] ?? 0,
      };
    }),
  );
  return { rows, unit: listed(perPoll, 1000, 'ms') };
}

/** Updates rows in turn, twenty statements a second; a machine that cannot keep up writes fewer, which is counted. */
async function writeChanges(
  query: (sql: string, values?: readonly unknown[]) => Promise<unknown>,
  rate: number,
  forSeconds: number,
  rowsOfTable: number,
): Promise<{ readonly written: number; readonly seconds: number }> {
  const [everyMs, each] = [50, rate / 20];
  const started = performance.now();
  let written = 0;
  for (let turn = 0; turn * everyMs < forSeconds * 1000; turn += 1) {
    const from = (turn * each) % (rowsOfTable - each);
    await query('UPDATE orders SET note = $1, updated_at = clock_timestamp() WHERE id > $2 AND id <= $3', [
      `turn ${turn}`,
      from,
      from + each,
    ]);
    written += each;
    await delay(Math.max(0, started + (turn + 1) * everyMs - performance.now()), undefined, { signal });
  }
  return { written, seconds: (performance.now() - started) / 1000 };
}

type Measured = { readonly name: string; readonly pid: number };

/** Servers with their child processes; a process of Node has none. */
async function cpuOf(processes: readonly Measured[]): Promise<Cpu> {
  return Object.fromEntries(await Promise.all(processes.map(async ({ name, pid }) => [name, await cpuOfServer(pid)] as const)));
}

async function spent(processes: readonly Measured[], seconds: number): Promise<Cpu> {
  const before = await cpuOf(processes);
  await delay(seconds * 1000, undefined, { signal });
  return less(await cpuOf(processes), before);
}

function less(cpu: Cpu, before: Cpu): Cpu {
  return Object.fromEntries(Object.entries(cpu).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]));
}

function at<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw new RangeError(`no value ${index}`);
  return value;
}

function listed(cpu: Cpu, times: number, unit: string): string {
  return Object.entries(cpu)
    .map(([name, value]) => `${name} ${(value * times).toFixed(2)} ${unit}`.trim())
    .join(', ');
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ size, what, predicted, measured }) => {
    const foreseen = predicted === null ? 'calibrates' : predicted.toFixed(2);
    return `| ${size} | ${what} | ${foreseen} | ${measured.toFixed(2)} | ${predicted === null ? '' : (measured / predicted).toFixed(2)} |`;
  });
  return `| | | predicted | measured | measured ÷ predicted |\n|---|---|---|---|---|\n${lines.join('\n')}\n`;
}
