import { CdcError } from '#pipeline/index.ts';
import { latestInstantOf } from '../fence/local-time.ts';
import { parseMicros } from '../fence/micros.ts';
import { widenXid } from '../fence/xid.ts';
import { isWindow } from '../position/position.ts';
import type { RawRow } from '../encoding/event-encoder.ts';
import type { Cursor } from '../fence/pass.ts';
import { pagePrefix } from './dialect.ts';
import { pageStateOf } from './table/relation-state.ts';
import type { TextRows } from './dialect.ts';
import type { TableShape } from './table/table-shape.ts';
import { TableReshaped } from './table/table-reshaped.ts';

/** A row of a page, taken apart. */
export type PageRow = {
  readonly row: RawRow;
  /** The row's xmin as the page has it; null without one. */
  readonly txId: string | null;
  /** What {@link judgeRow} goes by: the full transaction id, or for a window the timestamp in µs or the id. */
  readonly version: bigint;
};

/** Later than any time: an infinity stays in every window. */
const never = 2n ** 63n;

/**
 * The rows of a page.
 *
 * @throws TableReshaped when the page's snapshot shows another relation, other columns or another key than the shape has: what was read may lack
 *   columns, or would go out under a key that consumers do not hold the row by
 */
export function pageRows(shape: TableShape, rows: TextRows): readonly PageRow[] {
  const [first] = rows;
  if (first === undefined) return [];
  const snapshotXmax = snapshotXmaxOf(shape, first[1] ?? null);
  const isOwn = isWindow(shape.capture);
  // Rows of one transaction often follow each other.
  let last: string | null = null;
  let version = 0n;
  return rows.map((texts) => {
    const txId = texts[0] ?? null;
    const row = texts.slice(pagePrefix);
    if (isOwn || txId !== last) {
      version = versionOf(shape, row, txId, snapshotXmax);
      last = txId;
    }
    return { row, txId, version };
  });
}

/**
 * The xmax of a page's snapshot, from its second column.
 *
 * @throws TableReshaped as {@link pageRows} does
 */
export function snapshotXmaxOf({ relation }: TableShape, seen: string | null): bigint {
  const [xmax = '0', ...state] = (seen ?? '0').split('/');
  if (relation !== null && state.join('/') !== pageStateOf(relation)) throw new TableReshaped();
  return BigInt(xmax);
}

/** Of the instants that a wall clock's reading may mean, the latest: taken for older than it is, a row would be left out. */
function versionOf({ capture, timestamps, clock, order }: TableShape, row: RawRow, txId: string | null, xmax: bigint): bigint {
  if (capture === 'id-window') return BigInt(row[order[0]?.columns[0] ?? 0] ?? '0');
  if (capture === 'window') {
    const text = timestamps.map((index) => row[index]).find((value) => value !== null);
    const reading = text ? parseMicros(text) : null;
    return reading === null ? never : clock === null ? reading : latestInstantOf(clock, reading);
  }
  return txId === null ? 0n : widenXid(BigInt(txId), xmax);
}

/**
 * Where a page ended; null for an empty one.
 *
 * @throws CdcError COLUMN_NULLABLE: views and queries may give nulls where an order is needed
 */
export function cursorAfter({ order, columns, id }: TableShape, rows: TextRows): Cursor | null {
  const last = rows.at(-1);
  if (last === undefined) return null;
  return order.map((term) => {
    const value = term.columns.map((index) => last[index + pagePrefix] ?? null).find((text) => text !== null);
    if (value !== undefined && value !== null) return value;
    const names = term.columns.map((index) => columns[index]?.name ?? '').join(', ');
    throw new CdcError('COLUMN_NULLABLE', `${id.schema}.${id.table} gave a row without ${names}, by which its rows are ordered`);
  });
}
