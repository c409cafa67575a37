import { escapeIdentifier } from 'pg';
import { CdcError } from '#pipeline/index.ts';
import type { Micros } from '../fence/floor.ts';
import { parseMicros } from '../fence/micros.ts';
import { widenXid } from '../fence/xid.ts';
import type { Position, Witness } from '../position/position.ts';
import type { PageRow } from './page-rows.ts';
import type { SourceSession } from './dialect.ts';
import type { TableShape } from './table/table-shape.ts';

/** Rows that a position keeps as witnesses. */
export const witnessRows = 8;
const longestKey = 200;

/** Of rows that are published, those that may be witnesses: not of long keys, since each commit writes them. */
export function witnessesOf({ key, timestamps }: TableShape, rows: readonly PageRow[]): Witness['rows'] {
  return rows
    .map(({ row, version }) => ({ key: key.map((index) => row[index] ?? ''), xid: version, time: timeOf(timestamps.map((at) => row[at])) }))
    .filter((witness) => witness.key.join('').length <= longestKey);
}

function timeOf(texts: readonly (string | null | undefined)[]): Micros | null {
  const text = texts.find((value) => value !== null && value !== undefined);
  return text === undefined || text === null ? null : parseMicros(text);
}

/**
 * Looks for the rows that were published last. A row version can only be followed by one of a transaction that had not ended when it was seen: where
 * an older one is there now, or where a transaction that had committed has not, the server's history is another one. That is so of a backup that was put
 * back and has been written to since, until its ids and its log are past what the position knows. Rows that are gone prove nothing.
 *
 * @throws CdcError SOURCE_CHANGED
 */
export async function refuseOtherRows(session: SourceSession, shape: TableShape, { witness }: Position, table: string): Promise<void> {
  if (witness === null || witness.rows.length === 0) return;
  const [status] = await session.query(statusQuery, [`{${witness.rows.map(({ xid }) => xid.toString()).join(',')}}`]);
  if (status !== undefined) {
    throw otherHistory(table, `transaction ${status[0]}, whose rows were published, is ${status[1]} on this server`);
  }
  for (const [xmax, xmin, ...texts] of await session.query(
    rowsSql(shape, witness),
    witness.rows.flatMap((row) => row.key),
  )) {
    const published = witness.rows.findLast((row) => row.key.every((text, index) => text === texts[index]));
    if (published === undefined) continue;
    const writtenBy = widenXid(BigInt(xmin ?? '0'), BigInt(xmax ?? '0'));
    const time = timeOf(texts.slice(shape.key.length));
    if (writtenBy === published.xid && time !== published.time) {
      throw otherHistory(table, `a row that transaction ${writtenBy} wrote is not the one that was published as written by it`);
    }
    if (writtenBy !== published.xid && writtenBy < witness.below) {
      throw otherHistory(table, `a row that transaction ${published.xid} had written is as the earlier transaction ${writtenBy} left it`);
    }
  }
}

function otherHistory(table: string, how: string): CdcError {
  return new CdcError('SOURCE_CHANGED', `the server's history is not the one that the position of table ${table} was made with: ${how}`);
}

const statusQuery = `
  SELECT xid, status FROM (SELECT xid, pg_xact_status(xid) AS status FROM unnest($1::xid8[]) AS published (xid)) AS statuses
  WHERE status <> 'committed' LIMIT 1`;

function rowsSql({ id, columns, key, timestamps }: TableShape, { rows }: Witness): string {
  const nameOf = (index: number): string => escapeIdentifier(columns[index]?.name ?? '');
  const names = key.map(nameOf);
  const types = key.map((index) => columns[index]?.sqlType ?? 'text');
  const matches = rows.map(
    (_, row) => `(${names.map((name, at) => `${name} = $${row * names.length + at + 1}::${types[at]}`).join(' AND ')})`,
  );
  return `SELECT pg_snapshot_xmax(pg_current_snapshot()), xmin, ${[...names, ...timestamps.map(nameOf)].join(', ')}
    FROM ${escapeIdentifier(id.schema)}.${escapeIdentifier(id.table)} WHERE ${matches.join(' OR ')}`;
}
