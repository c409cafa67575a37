/**
 * The read model beside Debezium's JDBC sink, on the same topic in the same run: `npm run bench:read-model [-- <changes> <rounds>]`. Writes
 * bench/results/read-model.md. What it measures, and what not: bench/README.md.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createReadModel } from '#test/support/read-model.ts';
import { describeLoad, describeMachine } from '../harness/machine.ts';
import { withBenchStack } from '../harness/stack.ts';
import { median, spread } from '../harness/statistics.ts';
import { readModelContender, sinkContender } from './contenders.ts';
import type { Figures } from './measure.ts';
import { startSinkWorker, type SinkWorker } from './sink.ts';
import { orderStream, type StreamKind } from './stream.ts';

const partitions = 3;
const changes = Number(process.argv[2] ?? 200_000);
const rounds = Number(process.argv[3] ?? 3);

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Result = { readonly kind: StreamKind; readonly figures: ReadonlyMap<string, readonly Figures[]> };

/** Rounds go round the contenders, so that a busy minute of the machine meets them all; the first, cold round does not count. */
async function compare(kind: StreamKind, worker: SinkWorker): Promise<Result> {
  await using model = await createReadModel({ partitions });
  const stream = orderStream(kind, changes, { topicPrefix: model.prefix, partitions });
  for (let at = 0; at < stream.messages.length; at += 10_000) await model.send('orders', stream.messages.slice(at, at + 10_000));
  const contenders = [
    readModelContender(model, stream, 'mirror'),
    readModelContender(model, stream, 'view'),
    sinkContender(model, stream, worker, 'default'),
    sinkContender(model, stream, worker, 'best'),
  ];
  const figures = new Map<string, Figures[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const { name, run } of contenders) {
      stop.signal.throwIfAborted();
      const measured = await run();
      const text = `${Math.round(measured.rate)} changes/s, ${measured.cpu.toFixed(2)} CPU s per 100k, load ${describeLoad()}`;
      say(`${kind}, ${round === 0 ? 'warm-up' : `round ${round}`}, ${name}: ${text}`);
      if (round > 0) figures.get(name)?.push(measured);
    }
  }
  return { kind, figures };
}

function table({ kind, figures }: Result): string {
  const ours = [...figures.values()][0] ?? [];
  const rows = [...figures].map(([name, measured]) => {
    const of = (pick: (one: Figures) => number): number[] => measured.map(pick);
    const beside = (pick: (one: Figures) => number): string => `${(median(ours.map(pick)) / median(of(pick))).toFixed(2)}×`;
    const cells = [
      name,
      spread(of(({ rate }) => rate)),
      beside(({ rate }) => rate),
      spread(
        of(({ cpu }) => cpu),
        2,
      ),
      beside(({ cpu }) => cpu),
      spread(
        of(({ databaseCpu }) => databaseCpu),
        2,
      ),
      spread(of(({ peakRssMib }) => peakRssMib)),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `## ${kind}`,
    '',
    '| | changes/s | mirror only ÷ this | CPU s per 100k | mirror only ÷ this | database’s CPU s per 100k | peak RSS, MiB |',
    '|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

await withBenchStack(stop.signal, say, async () => {
  const loadBefore = describeLoad();
  await using worker = await startSinkWorker(stop.signal, say);
  const results = [await compare('insert-only', worker), await compare('mixed', worker)];
  const page = [
    '# Read model beside Debezium’s JDBC sink',
    '',
    `${new Date().toISOString().slice(0, 10)}, ${describeMachine()}. Load average ${loadBefore} before, ${describeLoad()} after: whatever is above the`,
    'benchmark’s own share was others’ work, so compare within this page only.',
    '',
    `${changes.toLocaleString('en-US')} changes of one table, ${partitions} partitions, medians of ${rounds} rounds (lowest–highest) after a warm-up round. Made by \`npm run bench:read-model\`.`,
    '',
    ...results.flatMap((result) => [table(result), '']),
  ].join('\n');
  const folder = join(import.meta.dirname, '../results');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'read-model.md'), page);
  say(page);
});
