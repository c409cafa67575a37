import type { CellText, Change, Lsn } from '../decode/change.ts';

/**
 * The last state of one row in a batch. A `partial` row keeps some columns of the stored row, which therefore must exist; `deletes` is
 * the key of a stored row that is to go first.
 */
export type RowState = {
  readonly partition: number;
  readonly deletes: readonly string[] | null;
  readonly upsert: Upsert | null;
  /** When the source deleted it, in microseconds since 1970, as far as that is known. */
  readonly deletedAt?: string | null | undefined;
  /** What the batch made of the row before it deleted it: where deleted rows stay, they stay so. */
  readonly gone?: Upsert | undefined;
};

export type Upsert = {
  readonly cells: readonly CellText[];
  readonly partial: boolean;
  readonly lsn: Lsn;
  /** The first event of the row in the batch calls it new. */
  readonly isNew: boolean;
};

/** What a batch leaves to be done in one mirror, in this order: empty it of what is older, then delete and upsert, each key once. */
export type TableChanges = {
  readonly truncate: { readonly before: Lsn } | null;
  readonly rows: ReadonlyMap<string, RowState>;
};

export type PartitionChanges = { readonly partition: number; readonly changes: readonly Change[] };

/**
 * Reduces the events of one table to the last state of each key, so that one statement can apply them all. Within a partition the order
 * is that of the events; partitions share no key.
 *
 * TRUNCATE has no key, so it stands in one partition only: what it removes in the others is told by the log's position. A row older than
 * the truncate is gone, whenever its event comes.
 *
 * @param truncatedBefore the latest truncate that was applied earlier, if any
 */
export function collapse(partitions: readonly PartitionChanges[], truncatedBefore: Lsn): TableChanges {
  const rows = new Map<string, RowState>();
  let horizon = truncatedBefore;
  let truncate: TableChanges['truncate'] = null;
  for (const { partition, changes } of partitions) {
    for (const change of changes) {
      if (change.kind === 'truncate') {
        truncate = { before: truncate === null ? change.lsn : later(truncate.before, change.lsn) };
        horizon = later(horizon, change.lsn);
        for (const [key, row] of rows) if (row.partition === partition || change.lsn === null) rows.delete(key);
      } else if (change.kind === 'delete') {
        rows.set(change.key, deletedOver(rows.get(change.key), change, partition));
      } else if (!isOlder(change.lsn, horizon)) {
        rows.set(change.key, upsertOver(rows.get(change.key), change, partition));
      }
    }
  }
  // A truncate of a later partition also removes what earlier ones left.
  if (truncate !== null) for (const [key, row] of rows) if (row.upsert !== null && isOlder(row.upsert.lsn, horizon)) rows.delete(key);
  return { truncate, rows };
}

/** A tombstone after its delete says nothing new. */
function deletedOver(before: RowState | undefined, change: Change & { kind: 'delete' }, partition: number): RowState {
  if (before !== undefined && before.deletes !== null && before.upsert === null) return before;
  return { partition, deletes: change.keyCells, upsert: null, deletedAt: change.origin?.at, gone: before?.upsert ?? undefined };
}

function upsertOver(before: RowState | undefined, change: Change & { kind: 'upsert' }, partition: number): RowState {
  // As its event gives it: the usual case makes no further object.
  if (before === undefined) return { partition, deletes: null, upsert: change };
  const { cells, lsn } = change;
  const isNew = before.upsert?.isNew ?? false;
  // A whole row replaces whatever is stored: no need to delete it first.
  if (!change.partial) return { partition, deletes: null, upsert: { cells, partial: false, lsn, isNew } };
  const known = before.upsert?.cells ?? [];
  const merged = cells.map((cell, index) => (cell === undefined ? known[index] : cell));
  const partial = merged.includes(undefined);
  return { partition, deletes: partial ? before.deletes : null, upsert: { cells: merged, partial, lsn, isNew } };
}

function isOlder(lsn: Lsn, horizon: Lsn): boolean {
  return lsn !== null && horizon !== null && lsn < horizon;
}

/** The later of two positions; an unknown one says nothing. */
function later(a: Lsn, b: Lsn): Lsn {
  if (a === null || b === null) return a ?? b;
  return a < b ? b : a;
}
