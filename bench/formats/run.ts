/**
 * The formats side by side, from the table through Kafka into the read model: `npm run bench:formats [-- <rows> <rounds>]`. Writes
 * bench/results/formats.md. What it measures, and what not: bench/README.md.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WireFormat } from '#pipeline/index.ts';
import { describeLoad, describeMachine } from '../harness/machine.ts';
import { withBenchStack } from '../harness/stack.ts';
import { median, spread } from '../harness/statistics.ts';
import { createOrders } from '../poller/orders-table.ts';
import { applyTopic, type ApplyFigures } from './apply.ts';
import { loadTopic, type LoadFigures } from './load.ts';

const rows = Number(process.argv[2] ?? 200_000);
const rounds = Number(process.argv[3] ?? 3);
const formats: readonly WireFormat[] = ['json', 'avro', 'json-schema'];

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Round = { readonly load: LoadFigures; readonly apply: ApplyFigures };

await withBenchStack(
  stop.signal,
  say,
  async () => {
    const loadBefore = describeLoad();
    await using database = await createOrders(rows);
    const taken = new Map<WireFormat, Round[]>(formats.map((format) => [format, []]));
    // Rounds go round the formats, so that a busy minute of the machine meets them all; the first, cold round does not count.
    for (let round = 0; round <= rounds; round += 1) {
      for (const format of formats) {
        stop.signal.throwIfAborted();
        const topic = await loadTopic(database, rows, format);
        const measured = { load: topic.figures, apply: await applyTopic(topic.prefix, rows) };
        if (round > 0) taken.get(format)?.push(measured);
        const speeds = `${Math.round(measured.load.rowsPerSecond)} rows/s published, ${Math.round(measured.apply.rowsPerSecond)} rows/s applied`;
        const sizes = `${measured.load.bytes.toFixed(1)} bytes, ${measured.load.storedBytes.toFixed(1)} stored`;
        say(`${round === 0 ? 'warm-up' : `round ${round}`}, ${format}: ${speeds}, ${sizes}, load ${describeLoad()}`);
      }
    }
    const page = [
      '# Formats side by side',
      '',
      `${new Date().toISOString().slice(0, 10)}, ${describeMachine()}. Load average ${loadBefore} before, ${describeLoad()} after.`,
      '',
      `${rows.toLocaleString('en-US')} rows of the order table, loaded by \`cdc poller start --once\` and applied by a read model that keeps the mirror alone; 3 partitions, medians of ${rounds} rounds (lowest–highest) after a warm-up round. ` +
        'Producers compress every format with zstd, level 1: bytes are those of key and value before it, and those of the log after it. Made by `npm run bench:formats`.',
      '',
      '| | bytes an event | JSON ÷ this | in the log, zstd | JSON ÷ this | published, rows/s | this ÷ JSON | CPU s per 100k | applied, rows/s | this ÷ JSON | CPU s per 100k |',
      '|---|---|---|---|---|---|---|---|---|---|---|',
      ...table(taken),
      '',
    ].join('\n');
    const folder = join(import.meta.dirname, '../results');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'formats.md'), page);
    say(page);
  },
  { registry: true },
);

function table(taken: ReadonlyMap<WireFormat, readonly Round[]>): string[] {
  const json = taken.get('json') ?? [];
  return [...taken].map(([format, measured]) => {
    const of = (pick: (round: Round) => number): number => median(measured.map(pick));
    const share = (pick: (round: Round) => number): number => of(pick) / median(json.map(pick));
    const speed = (pick: (round: Round) => number): string => spread(measured.map(pick));
    const cells = [
      format,
      of(({ load }) => load.bytes).toFixed(0),
      `${(1 / share(({ load }) => load.bytes)).toFixed(2)}×`,
      of(({ load }) => load.storedBytes).toFixed(1),
      `${(1 / share(({ load }) => load.storedBytes)).toFixed(2)}×`,
      speed(({ load }) => load.rowsPerSecond),
      `${share(({ load }) => load.rowsPerSecond).toFixed(2)}×`,
      of(({ load }) => load.cpuSecondsPer100k).toFixed(2),
      speed(({ apply }) => apply.rowsPerSecond),
      `${share(({ apply }) => apply.rowsPerSecond).toFixed(2)}×`,
      of(({ apply }) => apply.cpuSecondsPer100k).toFixed(2),
    ];
    return `| ${cells.join(' | ')} |`;
  });
}
