import * as z from 'zod';
import type { TableId } from '#change-events/index.ts';
import type { DoctorSession } from './session.ts';

const touchedSchema = z.object({
  type: z.string(),
  /** Its default, as the server prints it; null without one. */
  default: z.string().nullable(),
  generated: z.boolean(),
  /** A unique index, a foreign key, a check or an exclusion names it. */
  constrained: z.boolean(),
  /** The table, one above it or one below it is partitioned by it, or by an expression. */
  partitionKey: z.boolean(),
});

/** What prevents a trigger that sets a column. */
export type TouchedColumn = z.output<typeof touchedSchema>;

/** Null when there is no such column. */
export function readTouchedColumn(session: DoctorSession, { schema, table }: TableId, column: string): Promise<TouchedColumn | null> {
  return session.read(touchedQuery, touchedSchema.nullable(), [schema, table, column]);
}

const touchedQuery = `
  SELECT (
    SELECT json_build_object(
      'type', format_type(a.atttypid, NULL),
      'default', pg_get_expr(d.adbin, d.adrelid),
      'generated', a.attgenerated <> '' OR a.attidentity <> '',
      'constrained',
        EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND (i.indisunique OR i.indisexclusion)
                AND (a.attnum = ANY (i.indkey::int2[]) OR i.indexprs IS NOT NULL))
        OR EXISTS (SELECT FROM pg_constraint k WHERE k.contype IN ('c', 'f', 'x', 'u', 'p')
                   AND (k.conrelid = a.attrelid AND a.attnum = ANY (k.conkey) OR k.confrelid = a.attrelid AND a.attnum = ANY (k.confkey)))
        OR EXISTS (SELECT FROM pg_type t WHERE t.oid = a.atttypid AND t.typtype = 'd'),
      'partitionKey', EXISTS (
        SELECT FROM pg_partitioned_table p
        WHERE p.partrelid IN (SELECT relid FROM pg_partition_tree(a.attrelid) UNION SELECT relid FROM pg_partition_ancestors(a.attrelid) AS up (relid))
          AND (p.partexprs IS NOT NULL OR EXISTS (
            SELECT FROM unnest(p.partattrs::int2[]) AS k (attnum) JOIN pg_attribute b ON b.attrelid = p.partrelid AND b.attnum = k.attnum
            WHERE b.attname = a.attname))))
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped)`;
