/** `npm run docs:capacity` writes docs/reference/capacity.md: the model's answers for round sizes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { markdownTable } from '#pipeline/index.ts';
import { needOf, type Load } from './model.ts';
import { planned, unitCosts } from './unit-costs.ts';

const base: Load = { tables: 10, rows: 0, changesPerSecond: 0, strategy: 'query', pollSeconds: 5, view: false };
/** An order row in the legacy table. */
const bytesPerRow = 100;

export function capacityPage(): string {
  return `# Capacity, computed

Written by \`npm run docs:capacity\` from [the measured costs](../../bench/capacity/unit-costs.ts). What the figures
mean, and where they end: [capacity.md](../capacity.md).

## Tables that nobody writes to, polled

${markdownTable(
  ['tables', 'asked every, s', 'poller processes', 'their cores', 'MiB each', "source's cores", "broker's cores"],
  [10, 100, 1000, 10_000].flatMap((tables) =>
    [5, 60].map((pollSeconds) => {
      const need = needOf({ ...base, tables, pollSeconds });
      const cores = [need.captureCores, need.sourceCores, need.brokerCores].map(figure);
      return [digits(tables), String(pollSeconds), String(need.captures), cores[0] ?? '', figure(need.captureMemoryMiB), ...cores.slice(1)];
    }),
  ),
)}
## First load, one table after the other

Rows of ${bytesPerRow} bytes, as the order table has.

${markdownTable(
  ['data', 'rows', 'by query', 'by Debezium’s snapshot', "poller's CPU, core hours"],
  (
    [
      ['1 GB', 1e9],
      ['100 GB', 1e11],
      ['1 TB', 1e12],
      ['10 TB', 1e13],
    ] as const
  ).map(([name, bytes]) => {
    const rows = bytes / bytesPerRow;
    const hours = (strategy: Load['strategy']): string => duration(needOf({ ...base, rows, strategy }).firstLoadHours);
    return [name, digits(rows), hours('query'), hours('log'), figure((rows * unitCosts.load.pollerCpuPerRow) / 3600)];
  }),
)}
## Changes

Ten tables; mixed changes; one read model. Each process is planned to ${planned * 100} % of what it can.

${markdownTable(
  [
    'changes a second',
    'strategy',
    'view',
    'captures',
    'their cores',
    'read models',
    'their cores',
    "read database's cores",
    'partitions',
    'log, GiB a day: as measured; uncompressed',
  ],
  [1000, 10_000, 100_000, 1_000_000].flatMap((changesPerSecond) =>
    (['query', 'log'] as const).flatMap((strategy) =>
      [false, true].map((view) => {
        const need = needOf({ ...base, changesPerSecond, strategy, view });
        return [
          digits(changesPerSecond),
          strategy,
          view ? 'yes' : 'no',
          String(need.captures),
          figure(need.captureCores),
          String(need.models),
          figure(need.modelCores),
          figure(need.readDatabaseCores),
          String(need.partitions),
          need.logGibPerDay.map(figure).join('; '),
        ];
      }),
    ),
  ),
)}`;
}

function digits(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Two digits that mean something; whole numbers from ten on. */
function figure(value: number | null): string {
  if (value === null) return 'not measured';
  return value >= 10 ? digits(value) : Number(value.toPrecision(2)).toString();
}

function duration(hours: number): string {
  if (hours < 1 / 60) return `${figure(hours * 3600)} s`;
  if (hours < 1) return `${figure(hours * 60)} min`;
  return hours < 48 ? `${figure(hours)} h` : `${figure(hours / 24)} days`;
}

/** Where the page is kept: a test fails when it is not this one. */
export const capacityFile = join(import.meta.dirname, '..', '..', 'docs', 'reference', 'capacity.md');

if (import.meta.main) writeFileSync(capacityFile, capacityPage());
