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

/** What is older than `before` was truncated at `at`, in microseconds since 1970, as far as that is known. */
export type Truncated = { readonly before: Lsn; readonly at: string | null };

/** Of a mirror where deleted rows stay: positions in `cells` of the key. */
export type Kept = { readonly key: readonly number[] };

/** What a batch leaves to be done in one mirror, in this order: empty it of what is older, then delete and upsert, each key once. */
export type TableChanges = {
  readonly truncate: Truncated | null;
  readonly rows: ReadonlyMap<string, RowState>;
};

export type PartitionChanges = { readonly partition: number; readonly changes: readonly Change[] };

/**
 * Reduces the events of one table to the last state of each key, so that one statement can apply them all. Within a partition the order
 * is that of the events; partitions share no key.
 *
 * TRUNCATE has no key, so it comes in one partition only: the log's position decides what it removes in the others. A row older than
 * the truncate is gone, whenever its event comes.
 *
 * @param truncated the latest truncate that was applied earlier, if any
 * @param kept where deleted rows stay: then truncated ones are in `rows` as deleted then, so that it does not matter which events came in one batch
 */
export function collapse(partitions: readonly PartitionChanges[], truncated: Truncated | null, kept: Kept | null = null): TableChanges {
  const rows = new Map<string, RowState>();
  let horizon: Truncated = truncated ?? { before: null, at: null };
  let truncate: TableChanges['truncate'] = null;
  const remove = (key: string, row: RowState, at: string | null): void => {
    if (kept === null) rows.delete(key);
    else if (row.upsert !== null) rows.set(key, truncatedRow(row, row.upsert, kept, at));
  };
  for (const { partition, changes } of partitions) {
    for (const change of changes) {
      if (change.kind === 'truncate') {
        const one = { before: change.lsn, at: change.origin?.at ?? null };
        truncate = truncate === null ? one : later(truncate, one);
        horizon = later(horizon, one);
        for (const [key, row] of rows) if (row.partition === partition || change.lsn === null) remove(key, row, one.at);
      } else if (change.kind === 'delete') {
        rows.set(change.key, deletedOver(rows.get(change.key), change, partition));
      } else if (!isOlder(change.lsn, horizon.before)) {
        rows.set(change.key, upsertOver(rows.get(change.key), change, partition));
      } else if (kept !== null) {
        const before = rows.get(change.key);
        const row = upsertOver(before?.gone === undefined ? before : { ...before, upsert: before.gone }, change, partition);
        rows.set(change.key, row);
        remove(change.key, row, horizon.at);
      }
    }
  }
  // A truncate of a later partition also removes what earlier ones left.
  if (truncate !== null)
    for (const [key, row] of rows) if (row.upsert !== null && isOlder(row.upsert.lsn, horizon.before)) remove(key, row, horizon.at);
  return { truncate, rows };
}

function truncatedRow({ partition }: RowState, upsert: Upsert, { key }: Kept, at: string | null): RowState {
  return { partition, deletes: key.map((index) => upsert.cells[index] ?? ''), upsert: null, deletedAt: at, gone: upsert };
}

/** A tombstone after its delete says nothing new; a delete that comes after a truncate it was before knows better when that was. */
function deletedOver(before: RowState | undefined, change: Change & { kind: 'delete' }, partition: number): RowState {
  const at = change.origin?.at ?? null;
  if (before !== undefined && before.deletes !== null && before.upsert === null) {
    const known = before.deletedAt ?? null;
    return at === null || (known !== null && BigInt(known) <= BigInt(at)) ? before : { ...before, deletedAt: at };
  }
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

/** The later of two; one of an unknown position says nothing. */
function later(a: Truncated, b: Truncated): Truncated {
  if (a.before === null || b.before === null) return a.before === null ? b : a;
  return a.before < b.before ? b : a;
}
