import { formatTableId, type TableId } from '#change-events/index.ts';
import { CdcError } from '#pipeline/index.ts';
import { valueKind, type Column, type TableShape } from '../canonical/shape.ts';
import type { Session } from './session.ts';

/** Columns in table order, with the base type of a domain and the element type of an array. */
const columnsSql = `
  WITH RECURSIVE base AS (
    SELECT a.attnum, a.attname, a.atttypid AS typid
      FROM pg_attribute a
     WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, b.attname, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
  )
  SELECT b.attname, coalesce(e.typname, t.typname), (e.oid IS NOT NULL)::text
    FROM base b
    JOIN pg_type t ON t.oid = b.typid AND t.typtype <> 'd'
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
   ORDER BY b.attnum`;

const keySql = `
  SELECT a.attname
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
   WHERE i.indrelid = to_regclass($1) AND i.indisprimary
   ORDER BY k.position`;

/**
 * What the source knows of each table.
 *
 * @throws CdcError COMPARISON_IMPOSSIBLE for a table that is not there or that has no primary key
 */
export async function readShapes(session: Session, tables: readonly TableId[]): Promise<readonly TableShape[]> {
  const shapes: TableShape[] = [];
  for (const { schema, table } of tables) {
    const id = formatTableId({ schema, table });
    const name = quoteTable({ schema, table });
    const columns = (await session.rows(columnsSql, [name])).map(([column, type, array]): Column => ({
      name: column ?? '',
      kind: valueKind(type ?? ''),
      array: array === 'true',
    }));
    const key = (await session.rows(keySql, [name])).map(([column]) => column ?? '');
    if (columns.length === 0) throw new CdcError('COMPARISON_IMPOSSIBLE', `table ${id} does not exist in the legacy database`);
    if (key.length === 0)
      throw new CdcError('COMPARISON_IMPOSSIBLE', `table ${id} has no primary key, so its rows and events cannot be matched`);
    shapes.push({ id, schema, table, columns, key });
  }
  return shapes;
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable({ schema, table }: TableId): string {
  return `${quoteName(schema)}.${quoteName(table)}`;
}
