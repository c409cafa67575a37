import type { TableEvents } from '../events/count.ts';
import type { RowDifferences } from '../final-state/merge.ts';
import type { Distribution } from '../latency/percentiles.ts';
import type { Measured } from '../measured.ts';
import { totalEvents, type EventTotals } from '../outcomes/totals.ts';
import { strategies, type Strategy } from '../strategy.ts';
import type { ComparisonReport } from './report.ts';

/** A table of the report: words in the first column, figures in the others. */
export type Section = { readonly title: string; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

export const strategyNames: Readonly<Record<Strategy, string>> = { log: 'log (Debezium)', query: 'query (poller)' };

/** What stands where nothing was measured; the reason is in the verdicts and notes. */
const noFigure = '–';

export function sections(report: ComparisonReport): readonly Section[] {
  return [eventSection(report), qualitySection(report), rowSection(report), latencySection(report), outcomeSection(report)];
}

function eventSection({ tables, strategies: reports }: ComparisonReport): Section {
  const cell = (strategy: Strategy, table: string, read: (events: TableEvents) => number): string => {
    const { events } = reports[strategy];
    const found = events.measured ? events.value[table] : undefined;
    return found === undefined ? noFigure : String(read(found));
  };
  return {
    title: 'Changes that committed, and events that came for them',
    head: ['table', 'states', 'log seen', 'log lost', 'query seen', 'query lost', 'deletes', 'log seen', 'query seen'],
    rows: tables.map((table) => [
      table,
      cell('log', table, (t) => t.states.committed),
      cell('log', table, (t) => t.states.seen),
      cell('log', table, (t) => t.states.lost.count),
      cell('query', table, (t) => t.states.seen),
      cell('query', table, (t) => t.states.lost.count),
      cell('log', table, (t) => t.deletes.committed),
      cell('log', table, (t) => t.deletes.seen),
      cell('query', table, (t) => t.deletes.seen),
    ]),
  };
}

function qualitySection({ strategies: reports }: ComparisonReport): Section {
  const row = (name: string, read: (totals: EventTotals) => number | string): readonly string[] => [
    name,
    ...strategies.map((strategy) => {
      const { events } = reports[strategy];
      return events.measured ? String(read(totalEvents(events.value))) : noFigure;
    }),
  ];
  return {
    title: 'Events, all tables',
    head: ['', ...strategies.map((strategy) => strategyNames[strategy])],
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

function rowSection({ tables, strategies: reports }: ComparisonReport): Section {
  return {
    title: 'Rows at the end: read model against source',
    head: ['table', 'source', 'log equal', 'missing', 'ghost', 'stale', 'query equal', 'missing', 'ghost', 'stale'],
    rows: [
      ...tables.map((table) => rowLine(table, (strategy) => reports[strategy].state.tables[table])),
      rowLine('order view', (strategy) => reports[strategy].state.orderView),
    ],
  };
}

type Rows = Measured<RowDifferences> | undefined;

function rowLine(name: string, read: (strategy: Strategy) => Rows): readonly string[] {
  return [name, sourceRows(strategies.map(read)), ...strategies.flatMap((strategy) => rowFigures(read(strategy)))];
}

function rowFigures(found: Rows): readonly string[] {
  if (found?.measured !== true) return [noFigure, noFigure, noFigure, noFigure];
  return [found.value.equal, found.value.missing.count, found.value.ghost.count, found.value.stale.count].map(String);
}

function sourceRows(found: readonly Rows[]): string {
  const first = found.find((each) => each?.measured === true);
  return first?.measured === true ? String(first.value.source) : noFigure;
}

function latencySection({ strategies: reports }: ComparisonReport): Section {
  return {
    title: 'Time from the commit, in ms',
    head: ['', 'n', 'p50', 'p95', 'p99', 'max'],
    rows: [
      ...strategies.map((strategy) => latencyRow(`to Kafka, ${strategyNames[strategy]}`, reports[strategy].latency.toKafka)),
      ...strategies.map((strategy) => latencyRow(`to the read model, ${strategyNames[strategy]}`, reports[strategy].latency.toReadModel)),
    ],
  };
}

function latencyRow(name: string, found: Measured<Distribution>): readonly string[] {
  if (!found.measured) return [name, noFigure, noFigure, noFigure, noFigure, noFigure];
  const { n, p50, p95, p99, max } = found.value;
  return [name, String(n), ...[p50, p95, p99, max].map((ms) => ms.toFixed(1))];
}

function outcomeSection({ claims }: ComparisonReport): Section {
  return {
    title: 'For which strategy does it hold?',
    head: ['property', 'outcome'],
    rows: claims.map(({ property, outcome }) => [property, outcome]),
  };
}
