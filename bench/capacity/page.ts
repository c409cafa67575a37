/** The tables of docs/capacity.md, from the model. `npm run docs` writes them; a test keeps page and model equal. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { markdownTable } from '#pipeline/index.ts';
import { needOf, type Load, type Need } from './model.ts';
import { assumptions, unitCosts } from './unit-costs.ts';

const file = join(import.meta.dirname, '../../docs/capacity.md');
const [begin, end] = ['<!-- Written by npm run docs. -->\n', '<!-- Until here. -->\n'];

const common = { rowBytes: 200, format: 'json', views: false, retentionDays: null } as const;
const few = { tables: 10, busiestShare: 0.5 };
const many = { tables: 10_000, busiestShare: 0.01 };
const small = { bytes: 1e9 };
const large = { bytes: 1e13 };

/** The corners: tables, bytes, changes a second. Many tables are polled once a minute, few once a second. */
const corners: readonly Omit<Load, 'capture' | 'pollIntervalSeconds'>[] = [
  { ...common, ...few, ...small, changesPerSecond: 1000 },
  { ...common, ...many, ...small, changesPerSecond: 1000 },
  { ...common, ...few, ...large, changesPerSecond: 1000 },
  { ...common, ...many, ...large, changesPerSecond: 1000 },
  { ...common, ...few, ...small, changesPerSecond: 1_000_000 },
  { ...common, ...many, ...large, changesPerSecond: 1_000_000 },
];

/** All that is generated of the page. */
export function capacityTables(): string {
  const loads = (capture: Load['capture']): readonly Load[] =>
    corners.map((corner) => ({ ...corner, capture, pollIntervalSeconds: corner.tables > 100 ? 60 : 1 }));
  return [
    '### Captured by query\n',
    markdownTable(
      [
        'tables; bytes; changes/s',
        'poller processes',
        'their cores',
        'their memory',
        'sessions in the source',
        'cores of the source',
        'first load, hours',
      ],
      loads('query').map((load) => {
        const { pollers, sourceCores, firstLoadHours } = needOf(load);
        return [
          nameOf(load),
          ...(pollers === null ? [] : [whole(pollers.processes), cores(pollers.cores), mib(pollers.memoryMib), whole(pollers.sessions)]),
          cores(sourceCores ?? 0),
          hours(firstLoadHours),
        ];
      }),
    ),
    '### Captured by the log\n',
    markdownTable(
      ['tables; bytes; changes/s', 'slots, tasks', 'Connect workers', 'their cores', 'their memory', 'first load, hours'],
      loads('log').map((load) => {
        const { connect, firstLoadHours } = needOf(load);
        return [
          nameOf(load),
          ...(connect === null ? [] : [whole(connect.slots), whole(connect.workers), cores(connect.cores), mib(connect.memoryMib)]),
          hours(firstLoadHours),
        ];
      }),
    ),
    '### After capture: Kafka and the read model\n',
    markdownTable(
      [
        'tables; bytes; changes/s',
        'partitions',
        'cores of the brokers: query; log',
        'disk of the brokers',
        'read-model processes: query; log',
        'their memory',
        'databases',
        'their cores',
        'their disk',
      ],
      corners.map((_, index) => rest(loads('query'), loads('log'), index)),
    ),
    '### What stops scaling first\n',
    'Of the parts of which there cannot be two. 100 % is all that is planned of one.\n',
    markdownTable(
      ['tables; bytes; changes/s', 'capture', 'part', 'used', 'why', 'then'],
      [...loads('query'), ...loads('log')].map((load) => {
        const [first] = needOf(load).limits;
        return [
          nameOf(load),
          load.capture,
          first?.part ?? '',
          percent(first?.use ?? 0),
          first?.why ?? '',
          (first?.use ?? 0) > 1 ? (first?.remedy ?? '') : '',
        ];
      }),
    ),
    '### Unit costs\n',
    markdownTable(
      ['what', 'cost', 'from'],
      Object.values(unitCosts).map(({ what, value, unit, from }) => [what, `${value.toLocaleString('en-US')} ${unit}`, linkOf(from)]),
    ),
    '### Assumed, not measured\n',
    markdownTable(
      ['what', 'figure'],
      Object.values(assumptions).map(({ what, value }) => [what, value.toLocaleString('en-US')]),
    ),
  ].join('\n');
}

/** `page` with the tables as the model has them now. @throws Error where the page has no place for them */
export function withTables(page: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/capacity.md has lost the lines ${begin.trim()} and ${end.trim()}`);
  return `${page.slice(0, from)}${begin}\n${capacityTables()}\n${page.slice(to)}`;
}

function rest(byQuery: readonly Load[], byLog: readonly Load[], index: number): readonly string[] {
  const [queried, logged] = [byQuery[index], byLog[index]];
  if (queried === undefined || logged === undefined) throw new RangeError(`no load ${index}`);
  const [query, log]: readonly [Need, Need] = [needOf(queried), needOf(logged)];
  const { kafka, readModel } = query;
  return [
    nameOf(queried),
    whole(kafka.partitions),
    `${cores(kafka.cores)}; ${cores(log.kafka.cores)}`,
    bytes(kafka.diskBytes),
    `${readModel.processes}; ${log.readModel.processes}`,
    mib(readModel.memoryMib),
    whole(readModel.databases),
    cores(readModel.databaseCores),
    bytes(readModel.diskBytes),
  ];
}

function nameOf({ tables, bytes: size, changesPerSecond }: Omit<Load, 'capture' | 'pollIntervalSeconds'>): string {
  return `${whole(tables)}; ${bytes(size)}; ${whole(changesPerSecond)}`;
}

function whole(value: number): string {
  return Math.ceil(value).toLocaleString('en-US');
}

function cores(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 2 });
}

function hours(value: number): string {
  return value < 0.1 ? 'below 0.1' : value.toLocaleString('en-US', { maximumSignificantDigits: 2 });
}

function percent(value: number): string {
  return `${(value * 100).toLocaleString('en-US', { maximumSignificantDigits: 2 })} %`;
}

function mib(value: number): string {
  return value < 1024 ? `${Math.round(value)} MiB` : `${(value / 1024).toLocaleString('en-US', { maximumSignificantDigits: 2 })} GiB`;
}

function bytes(value: number): string {
  const [divisor, unit] = value < 1e12 ? [1e9, 'GB'] : [1e12, 'TB'];
  return `${(value / divisor).toLocaleString('en-US', { maximumSignificantDigits: 2 })} ${unit}`;
}

function linkOf(from: string): string {
  if (from.startsWith('assumed')) return from;
  return from.startsWith('docs/') ? `[${from.slice(5)}](${from.slice(5)})` : `[${from}](../bench/results/${from})`;
}

if (import.meta.main) writeFileSync(file, withTables(readFileSync(file, 'utf8')));
