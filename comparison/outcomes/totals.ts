import type { TableEvents } from '../events/count.ts';
import type { FinalState } from '../final-state/compare-state.ts';

/** One strategy's events over all tables. */
export type EventTotals = {
  readonly states: number;
  readonly superseded: number;
  readonly statesSeen: number;
  readonly statesLost: number;
  readonly withinTransactions: number;
  readonly withinTransactionsSeen: number;
  readonly deletes: number;
  readonly deletesSeen: number;
  readonly deletesOfUnseen: number;
  readonly truncates: number;
  readonly truncatesSeen: number;
  readonly beforeComplete: number;
  readonly beforeIncomplete: number;
  readonly beforeAbsent: number;
  readonly tombstones: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly unexplained: number;
};

export function totalEvents(tables: Readonly<Record<string, TableEvents>>): EventTotals {
  const sum = (read: (table: TableEvents) => number): number => Object.values(tables).reduce((total, table) => total + read(table), 0);
  return {
    states: sum((t) => t.states.committed),
    superseded: sum((t) => t.states.superseded),
    statesSeen: sum((t) => t.states.seen),
    statesLost: sum((t) => t.states.lost.count),
    withinTransactions: sum((t) => t.withinTransactions.made),
    withinTransactionsSeen: sum((t) => t.withinTransactions.seen),
    deletes: sum((t) => t.deletes.committed),
    deletesSeen: sum((t) => t.deletes.seen),
    deletesOfUnseen: sum((t) => t.deletes.ofUnseen.count),
    truncates: sum((t) => t.truncates.committed),
    truncatesSeen: sum((t) => t.truncates.seen),
    beforeComplete: sum((t) => t.beforeImages.complete),
    beforeIncomplete: sum((t) => t.beforeImages.incomplete),
    beforeAbsent: sum((t) => t.beforeImages.absent),
    tombstones: sum((t) => t.tombstones),
    duplicates: sum((t) => t.duplicates.count),
    outOfOrder: sum((t) => t.outOfOrder.count),
    unexplained: sum((t) => t.unexplained.count),
  };
}

/** One model's mirror tables together; null when one of them was not measured. */
export type RowTotals = {
  readonly source: number;
  readonly equal: number;
  readonly missing: number;
  readonly ghost: number;
  readonly stale: number;
};

export function totalRows({ tables }: FinalState): RowTotals | null {
  const total = { source: 0, equal: 0, missing: 0, ghost: 0, stale: 0 };
  for (const table of Object.values(tables)) {
    if (!table.measured) return null;
    total.source += table.value.source;
    total.equal += table.value.equal;
    total.missing += table.value.missing.count;
    total.ghost += table.value.ghost.count;
    total.stale += table.value.stale.count;
  }
  return total;
}
