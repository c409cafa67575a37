import { escapeIdentifier, escapeLiteral } from 'pg';
import type { Change } from '../decode/change.ts';
import { qualified, queryText, text, type Database } from '../database.ts';
import type { Mirror } from '../mirrors/mirror.ts';
import { deletedColumn } from '../mirrors/own-columns.ts';
import { awaitsCode, type Poison } from './poison.ts';

type Upsert = Change & { readonly kind: 'upsert' };
type Delete = Change & { readonly kind: 'delete' };

/** How an event that awaits a row, and the one that moves it away, name the same thing. */
function awaited(mirror: Mirror, key: string, lsn: number | bigint): string {
  return `${mirror.table}/${key}/${lsn}`;
}

/**
 * Keeps the row that a change of its key is about to delete: the event of the new key may leave columns out as unchanged. Gives what
 * events may await by now.
 */
export async function keepMovedRow(database: Database, mirror: Mirror, change: Delete, lsn: number | bigint): Promise<string> {
  const name = awaited(mirror, change.key, lsn);
  await oneAtATime(database, name);
  const pairs = mirror.columns.map(({ name: column }) => `${escapeLiteral(column)}, t.${escapeIdentifier(column)}::text`);
  await database.query(
    `INSERT INTO moved_rows (mirror_table, key, lsn, columns)
     SELECT $1, $2, $3, jsonb_build_object(${pairs.join(', ')}) FROM ${qualified(mirror.schema, mirror.table)} t WHERE ${keyCondition(mirror)}
     ON CONFLICT (mirror_table, key, lsn) DO NOTHING`,
    [mirror.table, change.key, String(lsn), ...change.keyCells],
  );
  return name;
}

/**
 * Completes an upsert of a new key with what the row had under its old one, as it was when it left. When that is not known yet the upsert
 * must wait, unless its own row is there already: then it is a repetition.
 */
export async function completeMoved(database: Database, mirror: Mirror, change: Upsert): Promise<Upsert | Poison> {
  const { movedFrom, lsn } = change;
  if (movedFrom === undefined || lsn === null) return change;
  const name = awaited(mirror, movedFrom, lsn);
  await oneAtATime(database, name);
  const rows = await queryText(
    database,
    `SELECT e.name, e.value FROM moved_rows m, jsonb_each_text(m.columns) AS e (name, value) WHERE m.mirror_table = $1 AND m.key = $2 AND m.lsn = $3`,
    [mirror.table, movedFrom, String(lsn)],
  );
  if (rows.length > 0) {
    const known = new Map(rows.map((row) => [text(row, 0), row[1] ?? null]));
    const cells = change.cells.map((cell, index) => (cell === undefined ? (known.get(mirror.columns[index]?.name ?? '') ?? null) : cell));
    const { movedFrom: _movedFrom, ...whole } = change;
    return { ...whole, cells, partial: false };
  }
  const keyCells = mirror.key.map((index) => change.cells[index] ?? null);
  const [found] = await queryText(
    database,
    `SELECT EXISTS (SELECT FROM ${qualified(mirror.schema, mirror.table)} t WHERE ${keyCondition(mirror, 1)}${mirror.deletes === 'mark' ? ` AND t.${deletedColumn} IS NULL` : ''})`,
    keyCells,
  );
  if (found?.[0] === 't') return change;
  return {
    code: awaitsCode,
    cause: `it leaves columns out as unchanged, which the row of its old key ${movedFrom} has: that row's last event is not applied yet`,
    awaits: name,
  };
}

export async function pruneMovedRows(database: Database): Promise<void> {
  await database.query(`DELETE FROM moved_rows WHERE moved_at < clock_timestamp() - interval '7 days'`);
}

/** The two events of one change may be applied at the same moment in different partitions: each must see what the other did. */
async function oneAtATime(database: Database, name: string): Promise<void> {
  await database.query('SELECT pg_advisory_xact_lock(hashtextextended(current_schema || $1, 0))', [name]);
}

/** `"a" = $4 AND …`: an untyped parameter takes the column's own type, so that the primary key's index serves. */
function keyCondition(mirror: Mirror, from = 4): string {
  return mirror.key.map((index, at) => `t.${escapeIdentifier(mirror.columns[index]?.name ?? '')} = $${at + from}`).join(' AND ');
}
