import * as z from 'zod';
import type { ColumnDetails } from '../schemas/field-type.ts';
import type { CatalogSource } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';

/** Needs no rights on the table; nothing of a default is evaluated. */
export async function readColumnDetails(
  source: Pick<CatalogSource, 'query'>,
  { id, query }: Pick<TableShape, 'id' | 'query'>,
): Promise<ColumnDetails> {
  if (query !== null) return new Map();
  const rows = await source.query(detailsQuery, [id.schema, id.table]);
  return new Map(
    rows.map(([name, declared, dimensions, allowed, sql, castName, labels]) => [
      name ?? '',
      {
        declared: declared ?? '',
        dimensions: Number(dimensions),
        allowed: allowed ?? null,
        ...(labels ? { labels: labelList.parse(JSON.parse(labels)) } : {}),
        default: sql ?? null,
        castName: castName ?? '',
      },
    ]),
  );
}

const labelList = z.array(z.string());

/** A domain's constant is one of its base type, and an enum's labels may be an array's elements. A generated column's expression is no default. */
const detailsQuery = `
  WITH RECURSIVE declared AS (
    SELECT a.attnum, a.attname, a.attndims::int, a.atttypid AS named, a.atttypid AS type,
           CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS expression
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, b.attname, greatest(b.attndims, t.typndims), b.named, t.typbasetype, coalesce(b.expression, t.typdefault)
    FROM declared b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
  )
  SELECT b.attname, named.typname, b.attndims,
         (SELECT string_agg(l.enumlabel, ',' ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid IN (t.oid, t.typelem)),
         b.expression, format_type(b.type, NULL),
         (SELECT json_agg(l.enumlabel ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid IN (t.oid, t.typelem))
  FROM declared b JOIN pg_type t ON t.oid = b.type JOIN pg_type named ON named.oid = b.named
  WHERE t.typtype <> 'd'
  ORDER BY b.attnum`;
