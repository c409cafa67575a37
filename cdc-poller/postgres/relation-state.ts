import { escapeLiteral } from 'pg';
import type { TableId } from '#change-events/index.ts';
import { hidden } from '../source/table/relation-state.ts';

/**
 * The state of a relation that a poller must notice: which one it is, which file holds it, its columns and its key. One scalar, so that
 * it can be asked in the very statement, and so in the very snapshot, that reads the clockwork (SourceSession.observe) or a page.
 */

/** Columns of the relation with this oid, hashed; the oid is an SQL expression. Null when the relation is gone. */
function columnsHashSql(oid: string): string {
  return `(SELECT hashtextextended(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull), ',' ORDER BY a.attnum), 0)
    FROM pg_attribute a WHERE a.attrelid = ${oid} AND a.attnum > 0 AND NOT a.attisdropped)`;
}

/** The index of its primary key, 0 without one; as above. */
function keyIndexSql(oid: string): string {
  return `coalesce((SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = ${oid} AND i.indisprimary), 0)`;
}

/**
 * Whether row-level security hides rows from the session's role. A policy that shows every row hides none, unless a restrictive one takes them away
 * again; which policies apply is asked as the server does.
 */
export function hidesRowsSql(oid: string): string {
  const policies = (kind: string, shows: string): string => `EXISTS (SELECT FROM pg_policy p
    WHERE p.polrelid = ${oid} AND ${kind} AND p.polcmd IN ('r', '*') AND pg_get_expr(p.polqual, p.polrelid) ${shows} 'true'
      AND EXISTS (SELECT FROM unnest(p.polroles) AS r (role) WHERE r.role = 0 OR pg_has_role(r.role, 'USAGE')))`;
  return `(row_security_active(${oid}) AND NOT (${policies('p.polpermissive', '=')} AND NOT ${policies('NOT p.polpermissive', '<>')}))`;
}

/** Which rows a SELECT of it gives: whether some are hidden, and which tables inherit from it. Empty for all of its own. */
function rowsSql(pgClass: string): string {
  return `concat_ws(',', CASE WHEN ${hidesRowsSql(`${pgClass}.oid`)} THEN '${hidden}' END, (SELECT string_agg(i.inhrelid::text, ',' ORDER BY i.inhrelid)
    FROM pg_inherits i WHERE i.inhparent = ${pgClass}.oid AND ${pgClass}.relkind <> 'p'))`;
}

/** The state's text, from a row of pg_class. */
export function relationStateSql(pgClass: string): string {
  const oid = `${pgClass}.oid`;
  return `concat_ws('/', ${oid}, ${pgClass}.relfilenode, ${columnsHashSql(oid)}, ${keyIndexSql(oid)}, ${rowsSql(pgClass)})`;
}

/** Something of the relation that now has this name; `what` takes its row of pg_class. Null when there is none. */
export function ofRelationSql({ schema, table }: TableId, what: (pgClass: string) => string): string {
  return `(SELECT ${what('c')} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ${escapeLiteral(schema)} AND c.relname = ${escapeLiteral(table)} AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))`;
}

/**
 * What the rows of a page mean hangs on: which relation has the name, its columns, its key and which of its rows are shown. Not its file: rows of another file are its rows all
 * the same. Asked by name in the page's own snapshot, which is taken when the table is locked: so the answer is about the relation that is read.
 */
export function pageStateSql(id: TableId): string {
  return ofRelationSql(
    id,
    (pgClass) =>
      `concat_ws('/', ${pgClass}.oid, ${columnsHashSql(`${pgClass}.oid`)}, ${keyIndexSql(`${pgClass}.oid`)}, ${rowsSql(pgClass)})`,
  );
}

/** How far a sequence is: every id that it gives later is higher. One that was never used, or was set back, says as much as it may. */
export function drawnSql(sequenceOid: string): string {
  return `(SELECT coalesce(pg_sequence_last_value(s.seqrelid), s.seqmin - 1) FROM pg_sequence s WHERE s.seqrelid = ${sequenceOid})`;
}
