/**
 * The read model beside Debezium's JDBC sink, on the same topic in the same run: `npm run bench:read-model [-- <changes> <rounds> [insert-only|mixed]]`. Writes
 * bench/results/read-model.md when both streams were measured. What it measures, and what not: bench/README.md.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createReadModel } from '#test/support/read-model.ts';
import { describeLoad, describeMachine } from '../harness/machine.ts';
import { withBenchStack } from '../harness/stack.ts';
import { median, spread } from '../harness/statistics.ts';
import { readModelContender, readModelNames, sinkContender, sinkNames } from './contenders.ts';
import type { Figures } from './measure.ts';
import { startSinkWorker, type SinkWorker } from './sink.ts';
import { orderStream, type StreamKind } from './stream.ts';

const partitions = 3;
const changes = Number(process.argv[2] ?? 200_000);
const rounds = Number(process.argv[3] ?? 3);
const kinds = (['insert-only', 'mixed'] as const).filter((kind) => (process.argv[4] ?? kind) === kind);

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
    readModelContender(model, stream, 'best'),
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
  const rows = [...figures].map(([name, measured]) => {
    const of = (pick: (one: Figures) => number): number[] => measured.map(pick);
    const cells = [
      name,
      spread(of(({ rate }) => rate)),
      spread(
        of(({ cpu }) => cpu),
        2,
      ),
      spread(
        of(({ databaseCpu }) => databaseCpu),
        2,
      ),
      spread(of(({ peakRssMib }) => peakRssMib)),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const beside = (ours: string, theirs: string): string => {
    const ratio = (pick: (one: Figures) => number): string =>
      (median((figures.get(ours) ?? []).map(pick)) / median((figures.get(theirs) ?? []).map(pick))).toFixed(2);
    return `- ${ours}, beside ${theirs}: ${ratio(({ rate }) => rate)} times its rate, ${ratio(({ cpu }) => cpu)} of its CPU`;
  };
  return [
    `## ${kind}`,
    '',
    '| | changes/s | CPU s per 100k | database’s CPU s per 100k | peak RSS, MiB |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    beside(readModelNames.mirror, sinkNames.default),
    beside(readModelNames.mirror, sinkNames.best),
    beside(readModelNames.best, sinkNames.best),
  ].join('\n');
}

await withBenchStack(stop.signal, say, async () => {
  const loadBefore = describeLoad();
  await using worker = await startSinkWorker(stop.signal, say);
  const results: Result[] = [];
  for (const kind of kinds) results.push(await compare(kind, worker));
  const page = [
    '# Read model beside Debezium’s JDBC sink',
    '',
    `${new Date().toISOString().slice(0, 10)}, ${describeMachine()}. Load average ${loadBefore} before, ${describeLoad()} after: whatever is above the`,
    'benchmark’s own share was others’ work, so compare within this page only.',
    '',
    `${changes.toLocaleString('en-US')} changes of one table, ${partitions} partitions, medians of ${rounds} rounds (lowest–highest) after a warm-up round. Made by \`npm run bench:read-model\`.`,
    '',
    '“Mirror only” and the sink do the same to the database: one table with its primary key and no other index, from empty; the read model also stores its positions, in the same transactions.',
    '“Order view” keeps the denormalised view too, and the indexes that it needs. The sink’s worker is warm from its earlier rounds, the read model is a new process each time.',
    '',
    ...results.flatMap((result) => [table(result), '']),
  ].join('\n');
  say(page);
  if (results.length < 2) return;
  const folder = join(import.meta.dirname, '../results');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'read-model.md'), page);
});
