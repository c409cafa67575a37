import type { Cost } from '../cost/cost.ts';
import type { RowDifferences } from '../final-state/merge.ts';
import type { Distribution } from '../latency/percentiles.ts';
import type { Measured } from '../measured.ts';
import { totalEvents, type EventTotals } from '../outcomes/totals.ts';
import type { Verdict } from '../outcomes/outcome.ts';
import { entriesOf, type Strategy } from '../strategy.ts';
import type { StrategyReport } from '../strategy-report.ts';
import type { ComparisonReport } from './report.ts';

/** A table of the report: words in the first columns, figures in the others. */
export type Section = { readonly title: string; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

export const strategyNames: Readonly<Record<Strategy, string>> = {
  log: 'log (Debezium)',
  query: 'query (poller)',
  sweep: 'query + sweep',
};

const shortNames: Readonly<Record<Strategy, string>> = { log: 'log', query: 'query', sweep: 'query + sweep' };

/** What is printed where nothing was measured; the reason is in the verdicts and notes. */
const noFigure = '–';

export function sections(report: ComparisonReport): readonly Section[] {
  return [
    eventSection(report),
    qualitySection(report),
    rowSection(report),
    latencySection(report),
    costSection(report),
    outcomeSection(report),
  ];
}

function eventSection({ tables, strategies: reports }: ComparisonReport): Section {
  return {
    title: 'Changes that committed, and events that came for them',
    head: ['table', 'captured by', 'states', 'seen', 'lost', 'deletes', 'seen', 'lost', 'of rows never seen'],
    rows: perTable(reports, tables, ({ events }, table) => {
      const found = events.measured ? events.value[table] : undefined;
      if (found === undefined) return Array.from({ length: 7 }, () => noFigure);
      const { states, deletes } = found;
      const figures = [states.committed, states.seen, states.lost.count, deletes.committed, deletes.seen, deletes.lost.count];
      return [...figures, deletes.ofUnseen.count].map(String);
    }),
  };
}

/** A line for each table and strategy; the table is named once. */
function perTable(
  reports: ComparisonReport['strategies'],
  tables: readonly string[],
  figures: (report: StrategyReport, table: string) => readonly string[],
): Section['rows'] {
  return tables.flatMap((table) =>
    entriesOf(reports).map(([strategy, report], index) => [index === 0 ? table : '', strategyNames[strategy], ...figures(report, table)]),
  );
}

function qualitySection({ strategies: reports }: ComparisonReport): Section {
  const row = (name: string, read: (totals: EventTotals) => number | string): readonly string[] => [
    name,
    ...entriesOf(reports).map(([, { events }]) => (events.measured ? String(read(totalEvents(events.value))) : noFigure)),
  ];
  return {
    title: 'Events, all tables',
    head: ['', ...contenderNames(reports)],
    rows: [
      row('updates and deletes with the whole row as it was', (t) => t.beforeComplete),
      row('… with a part of it', (t) => t.beforeIncomplete),
      row('… without', (t) => t.beforeAbsent),
      row('changes replaced within their own transaction, seen', (t) => `${t.withinTransactionsSeen} of ${t.withinTransactions}`),
      row('truncates seen', (t) => `${t.truncatesSeen} of ${t.truncates}`),
      row('tombstones', (t) => t.tombstones),
      row('events that came twice', (t) => t.duplicates),
      row('events out of commit order', (t) => t.outOfOrder),
      row('events of states that never were', (t) => t.unexplained),
    ],
  };
}

function contenderNames(reports: ComparisonReport['strategies']): readonly string[] {
  return entriesOf(reports).map(([strategy]) => strategyNames[strategy]);
}

const orderView = 'order view';

function rowSection({ tables, strategies: reports }: ComparisonReport): Section {
  return {
    title: 'Rows at the end: read model against source',
    head: ['table', 'captured by', 'source', 'equal', 'missing', 'ghost', 'stale'],
    rows: perTable(reports, [...tables, orderView], ({ state }, table) =>
      rowFigures(table === orderView ? state.orderView : state.tables[table]),
    ),
  };
}

function rowFigures(found: Measured<RowDifferences> | undefined): readonly string[] {
  if (found?.measured !== true) return Array.from({ length: 5 }, () => noFigure);
  const { source, equal, missing, ghost, stale } = found.value;
  return [source, equal, missing.count, ghost.count, stale.count].map(String);
}

function latencySection({ strategies: reports }: ComparisonReport): Section {
  const rows = (what: string, read: (latency: StrategyReport['latency']) => Measured<Distribution>): Section['rows'] =>
    entriesOf(reports).map(([strategy, { latency }]) => latencyRow(`${what}, ${strategyNames[strategy]}`, read(latency)));
  return {
    title: 'Time from the commit, in ms',
    head: ['', 'n', 'p50', 'p95', 'p99', 'max'],
    rows: [
      ...rows('inserts and updates to Kafka', ({ toKafka }) => toKafka),
      ...rows('inserts and updates to the read model', ({ toReadModel }) => toReadModel),
      ...rows('deletes to Kafka', ({ deletesToKafka }) => deletesToKafka),
      ...rows('deletes to the read model', ({ deletesToReadModel }) => deletesToReadModel),
    ],
  };
}

function latencyRow(name: string, found: Measured<Distribution>): readonly string[] {
  if (!found.measured) return [name, noFigure, noFigure, noFigure, noFigure, noFigure];
  const { n, p50, p95, p99, max } = found.value;
  return [name, String(n), ...[p50, p95, p99, max].map((ms) => ms.toFixed(1))];
}

function costSection({ strategies: reports }: ComparisonReport): Section {
  const row = (name: string, read: (cost: Cost) => Measured<number>, show: (value: number) => string): readonly string[] => [
    name,
    ...entriesOf(reports).map(([, { cost }]) => {
      const found = cost.measured ? read(cost.value) : cost;
      return found.measured ? show(found.value) : noFigure;
    }),
  ];
  return {
    title: 'What it asked of the source',
    head: ['', ...contenderNames(reports)],
    rows: [
      row('queries per minute', (cost) => cost.queriesPerMinute, whole),
      row('rows read per minute', (cost) => cost.rowsReadPerMinute, whole),
      row('processor time of its sessions, ms per minute', (cost) => cost.processorMsPerMinute, whole),
      row(
        'WAL kept for it at the end, kB',
        (cost) => cost.walKeptBytes,
        (bytes) => whole(bytes / 1024),
      ),
    ],
  };
}

function whole(value: number): string {
  return String(Math.round(value));
}

const verdictWords: Readonly<Record<Verdict['kind'], string>> = { holds: 'yes', fails: 'no', unknown: '?' };

function outcomeSection({ strategies: reports, claims }: ComparisonReport): Section {
  return {
    title: 'For which strategy does it hold?',
    head: ['property', ...entriesOf(reports).map(([strategy]) => shortNames[strategy])],
    rows: claims.map(({ property, verdicts }) => [property, ...entriesOf(verdicts).map(([, kind]) => verdictWords[kind])]),
  };
}
