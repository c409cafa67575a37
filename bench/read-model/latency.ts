/**
 * From commit in the legacy database to visible in the read model, both strategies: `npm run bench:latency [-- <seconds> <rounds>]`. Writes
 * bench/results/latency.md. What it measures, and what not: bench/README.md.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { legacyTables } from '#legacy-db/index.ts';
import { startTestConnector } from '#test/support/connect.ts';
import type { LegacyDatabase } from '#test/support/legacy-database.ts';
import { testPipelineConfig } from '#test/support/pipeline-config.ts';
import { startTestPoller, untilStatus } from '#test/support/poller.ts';
import { eventually } from '#test/support/read-database.ts';
import { createReadModel, type ReadModelFixture } from '#test/support/read-model.ts';
import { uniqueName } from '#test/support/stack.ts';
import { createOrders } from '../poller/orders-table.ts';
import { describeLoad, describeMachine } from '../harness/machine.ts';
import { withBenchStack } from '../harness/stack.ts';
import { percentile, spread } from '../harness/statistics.ts';
import { measureVisibility, type Visibility } from './visibility.ts';

const seconds = Number(process.argv[2] ?? 20);
const rounds = Number(process.argv[3] ?? 3);
const updatesPerSecond = 200;
const pollIntervalMs = 100;

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** The order view is asked as a reader would ask it. */
const viewQuery = 'SELECT order_id AS id, note FROM model.order_view WHERE order_id = ANY ($1::bigint[])';

/** Feeds a model's topics while it exists. */
type Capture = (database: LegacyDatabase, model: ReadModelFixture) => Promise<AsyncDisposable>;

const strategies: Readonly<Record<string, Capture>> = {
  [`query-based, a poll every ${pollIntervalMs} ms`]: async (database, model) => {
    const tables = legacyTables.map((table) => ({ table }));
    const config = await testPipelineConfig(database, { name: model.prefix, pollIntervalMs, tables });
    const poller = startTestPoller(config);
    await untilStatus(config, ({ phase }) => phase === 'polling', 60_000);
    return poller;
  },
  'log-based, connectors/legacy-orders.json': async (database, model) => {
    const connector = await startTestConnector({ database, prefix: model.prefix });
    await connector.streaming();
    return connector;
  },
  "log-based, Debezium's own poll.interval.ms (500)": async (database, model) => {
    const connector = await startTestConnector({ database, prefix: model.prefix, overrides: { 'poll.interval.ms': '500' } });
    await connector.streaming();
    return connector;
  },
};

async function measure(capture: Capture): Promise<Visibility> {
  const rows = updatesPerSecond * seconds;
  await using database = await createOrders(rows);
  await using model = await createReadModel({ topics: false, prefix: uniqueName('latency') });
  const child = model.spawn();
  try {
    await using capturing = await capture(database, model);
    await eventually(
      () => model.read.query('SELECT count(*) FROM model.order_view'),
      ([row]) => row?.['count'] === String(rows),
      120_000,
    );
    // The first updates meet cold code, which no reader of a running pipeline meets.
    await measureVisibility(database, model.read, 'warm-up', { seconds: Math.min(3, seconds), updatesPerSecond, viewQuery });
    const seen = await measureVisibility(database, model.read, uniqueName('mark'), { seconds, updatesPerSecond, viewQuery });
    void capturing;
    return seen;
  } finally {
    child.kill('SIGTERM');
  }
}

await withBenchStack(
  stop.signal,
  say,
  async () => {
    const loadBefore = describeLoad();
    const taken = new Map<string, Visibility[]>(Object.keys(strategies).map((name) => [name, []]));
    // Rounds go round the strategies, so that a busy minute of the machine meets them all.
    for (let round = 1; round <= rounds; round += 1) {
      for (const [name, capture] of Object.entries(strategies)) {
        stop.signal.throwIfAborted();
        const seen = await measure(capture);
        taken.get(name)?.push(seen);
        const [p50, p99] = [percentile(seen.latenciesMs, 0.5), percentile(seen.latenciesMs, 0.99)];
        say(`round ${round}, ${name}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, load ${describeLoad()}`);
      }
    }
    const lines = [...taken].map(([name, seen]) => {
      const share = (of: number): string =>
        spread(
          seen.map(({ latenciesMs }) => percentile(latenciesMs, of)),
          1,
        );
      const look = spread(
        seen.map(({ meanLookMs }) => meanLookMs),
        1,
      );
      return `| ${name} | ${share(0.5)} | ${share(0.99)} | ${share(1)} | ${look} |`;
    });
    const page = [
      '# From commit to visible in the read model',
      '',
      `${new Date().toISOString().slice(0, 10)}, ${describeMachine()}. Load average ${loadBefore} before, ${describeLoad()} after.`,
      '',
      `${updatesPerSecond} single-row transactions a second for ${seconds} s on a table of ${updatesPerSecond * seconds} rows; from the commit's answer to the first look that finds the row in the order view. Medians of ${rounds} rounds (lowest–highest). ` +
        'What lies between two looks is in the figures. Made by `npm run bench:latency`.',
      '',
      '| | p50, ms | p99, ms | longest, ms | between two looks, ms |',
      '|---|---|---|---|---|',
      ...lines,
      '',
    ].join('\n');
    const folder = join(import.meta.dirname, '../results');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'latency.md'), page);
    say(page);
  },
  { connect: true },
);
