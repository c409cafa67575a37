import * as z from 'zod';
import type { TextQuery } from '../source/dialect.ts';
import type { CatalogTable } from '../source/table/catalog-table.ts';

/** What else there is of a table than its own columns and keys: policies, tables that inherit from it, its partitions. */
export type Surroundings = Pick<CatalogTable, 'policies' | 'children' | 'leaves'>;

const table = z.object({ schema: z.string(), table: z.string() });

const surroundings = z.object({
  policies: z.array(z.object({ name: z.string(), restrictive: z.boolean() })),
  children: z.array(table),
  leaves: z.array(z.object({ id: table, indexes: z.array(z.array(z.string())) })),
});

/** Needs no rights on the table. */
export async function readSurroundings(query: TextQuery, oid: string): Promise<Surroundings> {
  const [[found] = []] = await query(surroundingsQuery, [oid]);
  return surroundings.parse(JSON.parse(found ?? 'null'));
}

/** An index of a partitioned table takes in what is equal to it: valid, of its columns and no others, not taken in by another one. */
const leafIndexes = `
  SELECT json_agg(names) FROM (
    SELECT (SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) AS names
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
    WHERE i.indrelid = l.oid AND i.indisvalid AND NOT i.indisunique AND NOT x.relispartition AND i.indpred IS NULL AND i.indexprs IS NULL
      AND i.indnatts = i.indnkeyatts) AS own`;

const surroundingsQuery = `
  WITH RECURSIVE heirs AS (
    SELECT i.inhrelid AS oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent AND c.relkind <> 'p' WHERE i.inhparent = $1::oid
    UNION
    SELECT i.inhrelid FROM heirs h JOIN pg_inherits i ON i.inhparent = h.oid
  )
  SELECT json_build_object(
    'policies', (
      SELECT coalesce(json_agg(json_build_object('name', p.polname, 'restrictive', NOT p.polpermissive) ORDER BY p.polname), '[]')
      FROM pg_policy p WHERE p.polrelid = $1::oid AND p.polcmd IN ('r', '*')),
    'children', (
      SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'table', c.relname) ORDER BY n.nspname, c.relname), '[]')
      FROM heirs h JOIN pg_class c ON c.oid = h.oid JOIN pg_namespace n ON n.oid = c.relnamespace),
    'leaves', (
      SELECT coalesce(json_agg(json_build_object('id', json_build_object('schema', n.nspname, 'table', l.relname),
                                                 'indexes', coalesce((${leafIndexes}), '[]')) ORDER BY n.nspname, l.relname), '[]')
      FROM pg_partition_tree($1::oid) t JOIN pg_class l ON l.oid = t.relid AND l.relkind = 'r' JOIN pg_namespace n ON n.oid = l.relnamespace
      WHERE t.isleaf AND t.parentrelid IS NOT NULL))`;
