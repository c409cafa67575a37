import Table from 'cli-table3';
import type { HeldBackBy } from './metrics/held-back-by.ts';
import type { LeftOutFigures, SweepFigures, TableFigures } from './metrics/table-monitor.ts';
import type { TableStatus } from './positions-view.ts';

/** A table's committed position, and the live figures of the process that polls it, if it answered. */
export type StatusRow = TableStatus & { readonly live: TableFigures | null };

/** The text of `cdc poller status`. */
export function statusTable(rows: readonly StatusRow[]): string {
  if (rows.every(({ live }) => live === null)) return positionsTable(rows);
  const table = new Table({
    head: ['table', 'phase', 'last success', 'published', 'lag', 'fence lag', 'held back by', 'remembered', 'left out', 'sweep', 'errors'],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const { live } = row;
    if (live === null) table.push([row.table, `${phaseOf(row)} (not live)`, row.polledAt ?? '-', '-', '-', '-', '-', '-', '-', '-', '-']);
    else {
      table.push([
        row.table,
        live.stuck && live.phase !== 'failed' ? `${live.phase}, STUCK` : `${live.phase}${progress(live)}`,
        live.lastSuccessAt ?? '-',
        live.rowsPublished,
        seconds(live.lagSeconds),
        seconds(live.fenceLagSeconds),
        live.heldBackBy === null ? '-' : describeHolder(live.heldBackBy),
        live.rememberedKeys,
        describeLeftOut(live.leftOut),
        describeSweep(live.sweep),
        describeErrors(live),
      ]);
    }
  }
  return [
    table.toString(),
    ...rows.flatMap(({ live }) => (live === null ? [] : reasonOf(live))),
    ...problemsOf(rows.filter(({ live }) => live === null)),
  ].join('\n');
}

/** What a table waits for or failed with, in the words that its log has; nothing of a table that goes on. */
function reasonOf({ table, phase, lastError }: TableFigures): readonly string[] {
  if (lastError === null || (phase !== 'waiting' && phase !== 'failed')) return [];
  const { code, message, remedy } = lastError;
  return [`${table}, ${phase}: ${code}: ${message}${remedy === null ? '' : `\n  remedy: ${remedy}`}`];
}

function problemsOf(rows: readonly StatusRow[]): readonly string[] {
  return rows.flatMap(({ table, problem }) => (problem === null ? [] : [`${table}, unreadable: ${problem}`]));
}

function positionsTable(rows: readonly StatusRow[]): string {
  const table = new Table({ head: ['table', 'phase', 'horizon', 'polled at', 'floor'], style: { head: [], border: [] } });
  for (const row of rows) table.push([row.table, phaseOf(row), row.horizon ?? '-', row.polledAt ?? '-', row.floor ?? '-']);
  return `${[table.toString(), ...problemsOf(rows)].join('\n')}\nCommitted positions only: no running process answered (poller.http, or --url).`;
}

function phaseOf({ phase, repairPending }: TableStatus): string {
  return repairPending ? `${phase}, repair pending` : phase;
}

function progress({ load }: TableFigures): string {
  if (load === null) return '';
  const rest = load.rowsRemaining === null ? '' : `, ~${load.rowsRemaining} rows left`;
  const time = load.secondsRemaining === null ? '' : `, ~${load.secondsRemaining} s`;
  return `: ${load.rowsPerSecond} rows/s${rest}${time}`;
}

function seconds(value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)} s`;
}

function describeHolder({ pid, application, user, ageSeconds, prepared }: HeldBackBy): string {
  const who = prepared === null ? `pid ${pid ?? '?'}` : `prepared ${prepared}`;
  const age = ageSeconds === 'not permitted' ? 'age not permitted' : `${ageSeconds} s`;
  return [who, user, application, age].filter((part) => part !== null && part !== '').join(', ');
}

/** Rows that were left out of the topic, by what became of them. */
function describeLeftOut({ skipped, deadLettered, last }: LeftOutFigures): string {
  const parts = [skipped === 0 ? null : `${skipped} skipped`, deadLettered === 0 ? null : `${deadLettered} dead letters`];
  const counts = parts.filter((part) => part !== null);
  return last === null ? '0' : `${counts.join(', ')}, last ${last.key} at ${last.at}`;
}

function describeSweep(sweep: SweepFigures | null): string {
  if (sweep === null) return '-';
  const last = sweep.lastOutcome === 'found' ? `at ${sweep.lastSuccessAt}` : `DISCARDED (${sweep.lastOutcome})`;
  return `${sweep.deletesPublished} deletes, last ${last}`;
}

function describeErrors({ errors, lastError }: TableFigures): string {
  const total = Object.values(errors).reduce((sum, times) => sum + times, 0);
  return lastError === null ? total.toString() : `${total}, last ${lastError.code} at ${lastError.at}`;
}
