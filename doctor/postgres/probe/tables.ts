import { escapeIdentifier } from 'pg';
import * as z from 'zod';
import { formatTableId, type TableId } from '#change-events/index.ts';
import type { DoctorSession } from './session.ts';

/** A table, as it is written. */
export const tableText = z.tuple([z.string(), z.string()]).transform(([schema, table]) => formatTableId({ schema, table }));

const columnSchema = z.object({
  name: z.string(),
  /** As Postgres writes it, a domain as its base type: `timestamp with time zone`, `bigint`, `text[]`. */
  type: z.string(),
  notNull: z.boolean(),
  /** The session's role may read it, by a right on the table or on the column. */
  readable: z.boolean(),
  /** Its sequence's cache and name, for a serial or identity column. */
  sequence: z.object({ schema: z.string(), table: z.string(), cache: z.number(), ascends: z.boolean() }).nullable(),
  /** Values of this column may be stored out of line. */
  toastable: z.boolean(),
});

const indexSchema = z.object({
  /** Key columns; null for an expression. */
  columns: z.array(z.string().nullable()),
  unique: z.boolean(),
  primary: z.boolean(),
  immediate: z.boolean(),
  replicaIdentity: z.boolean(),
  partial: z.boolean(),
  valid: z.boolean(),
  method: z.string(),
});

const triggerSchema = z.object({
  name: z.string(),
  /** Fires for each row, before an UPDATE. */
  beforeUpdate: z.boolean(),
  enabled: z.boolean(),
  definition: z.string(),
  /** `UPDATE OF` these columns; empty for any. */
  columns: z.array(z.string()),
  function: z.string(),
  language: z.string(),
  source: z.string(),
  arguments: z.string(),
});

const foundSchema = z.object({
  kind: z.enum(['r', 'p', 'v', 'm', 'f']),
  persistence: z.enum(['p', 'u', 't']),
  owner: z.string(),
  ownedByOwnerRole: z.boolean(),
  replicaIdentity: z.enum(['d', 'n', 'f', 'i']),
  bytes: z.number(),
  toastBytes: z.number(),
  mayUseSchema: z.boolean(),
  maySelect: z.boolean(),
  mayUpdate: z.boolean(),
  mayInsert: z.boolean(),
  rowSecurityApplies: z.boolean(),
  policies: z.array(z.string()),
  columns: z.array(columnSchema),
  indexes: z.array(indexSchema),
  triggers: z.array(triggerSchema),
  /** Leaves of a partitioned table, as schema.table. */
  partitions: z.array(tableText),
  statistics: z.object({ rows: z.number(), inserts: z.number(), updates: z.number(), deletes: z.number() }),
});

const tableSchema = z.object({ found: foundSchema.nullable(), similar: z.array(tableText) });

/** What the catalogue has of one table, and what the session's role may do with it. */
export type FoundTable = z.output<typeof foundSchema>;
export type TableFacts = { readonly id: TableId; readonly found: FoundTable | null; readonly similar: readonly string[] };
export type TriggerFacts = z.output<typeof triggerSchema>;

/** All tables and views that are no system's, for patterns. */
export function readTableNames(session: DoctorSession): Promise<readonly TableId[]> {
  return session.read(namesQuery, z.array(z.object({ schema: z.string(), table: z.string() })));
}

const namesQuery = `
  SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'table', c.relname) ORDER BY n.nspname, c.relname), '[]')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

/** Whether a table has no row at all, as a role that may read it. */
export async function readIsEmpty(session: DoctorSession, id: TableId): Promise<boolean> {
  const name = `${escapeIdentifier(id.schema)}.${escapeIdentifier(id.table)}`;
  return session.read(`SELECT to_json(NOT EXISTS (SELECT FROM ${name}))`, z.boolean());
}

/** Needs no rights on the table. `ownerRole` may be a role that does not exist. */
export async function readTable(session: DoctorSession, id: TableId, ownerRole: string | undefined): Promise<TableFacts> {
  const facts = await session.read(tableQuery, tableSchema, [id.schema, id.table, ownerRole ?? '']);
  return { id, ...facts };
}

const columns = `
  SELECT coalesce(json_agg(json_build_object(
      'name', a.attname, 'type', format_type(base.oid, a.atttypmod), 'notNull', a.attnotnull OR base.not_null,
      'readable', has_column_privilege(c.oid, a.attnum, 'SELECT'),
      'toastable', a.attlen = -1 AND a.attstorage IN ('x', 'e', 'm'),
      'sequence', (
        SELECT json_build_object('schema', sn.nspname, 'table', s.relname, 'cache', q.seqcache, 'ascends', q.seqincrement > 0 AND NOT q.seqcycle)
        FROM pg_depend d JOIN pg_class s ON s.oid = CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid ELSE d.refobjid END AND s.relkind = 'S'
        JOIN pg_namespace sn ON sn.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
        WHERE (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
               AND d.deptype IN ('a', 'i'))
           OR (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.objid = (SELECT oid FROM pg_attrdef WHERE adrelid = c.oid AND adnum = a.attnum))
        LIMIT 1)
    ) ORDER BY a.attnum), '[]')
  FROM pg_attribute a, LATERAL (
    WITH RECURSIVE base AS (
      SELECT t.oid, t.typtype, t.typbasetype, t.typnotnull AS not_null FROM pg_type t WHERE t.oid = a.atttypid
      UNION ALL
      SELECT t.oid, t.typtype, t.typbasetype, b.not_null OR t.typnotnull FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')
    SELECT oid, not_null FROM base WHERE typtype <> 'd') base
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`;

const indexes = `
  SELECT coalesce(json_agg(json_build_object(
      'columns', ARRAY(
        SELECT a.attname FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS key(attnum, position)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key.attnum AND key.attnum <> 0
        WHERE key.position <= i.indnkeyatts ORDER BY key.position),
      'unique', i.indisunique, 'primary', i.indisprimary, 'immediate', i.indimmediate, 'replicaIdentity', i.indisreplident,
      'partial', i.indpred IS NOT NULL, 'valid', i.indisvalid, 'method', m.amname)), '[]')
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam WHERE i.indrelid = c.oid`;

/** tgtype: 1 row, 2 before, 16 update. */
const triggers = `
  SELECT coalesce(json_agg(json_build_object(
      'name', g.tgname, 'beforeUpdate', g.tgtype & 19 = 19, 'enabled', g.tgenabled IN ('O', 'A'), 'definition', pg_get_triggerdef(g.oid),
      'columns', ARRAY(SELECT a.attname FROM unnest(g.tgattr::int2[]) AS k(attnum) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum),
      'function', p.proname, 'language', l.lanname, 'source', left(p.prosrc, 50000), 'arguments', encode(g.tgargs, 'escape'))), '[]')
  FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_language l ON l.oid = p.prolang
  WHERE g.tgrelid = c.oid AND NOT g.tgisinternal`;

const tableQuery = `
  SELECT json_build_object(
    'similar', CASE WHEN c.oid IS NOT NULL THEN '[]' ELSE (
      SELECT coalesce(json_agg(name ORDER BY name::text), '[]') FROM (
        SELECT json_build_array(sn.nspname, s.relname) AS name FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace
        WHERE s.relkind IN ('r', 'p') AND sn.nspname !~ '^pg_' AND sn.nspname <> 'information_schema'
          AND (s.relname ILIKE '%' || wanted.name || '%' OR wanted.name ILIKE '%' || s.relname || '%') ORDER BY sn.nspname, s.relname LIMIT 3) likely) END,
    'found', CASE WHEN c.oid IS NOT NULL THEN json_build_object(
      'kind', c.relkind, 'persistence', c.relpersistence, 'owner', pg_get_userbyid(c.relowner),
      'ownedByOwnerRole', coalesce((SELECT pg_has_role(r.oid, c.relowner, 'USAGE') FROM pg_roles r WHERE r.rolname = $3), false),
      'replicaIdentity', c.relreplident,
      'bytes', coalesce(c.relpages, 0)::bigint * current_setting('block_size')::bigint,
      'toastBytes', CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE coalesce(pg_relation_size(c.reltoastrelid), 0) END,
      'mayUseSchema', has_schema_privilege(n.oid, 'USAGE'), 'maySelect', has_table_privilege(c.oid, 'SELECT'),
      'mayUpdate', has_any_column_privilege(c.oid, 'UPDATE'), 'mayInsert', has_table_privilege(c.oid, 'INSERT'),
      'rowSecurityApplies', row_security_active(c.oid),
      'policies', ARRAY(SELECT polname FROM pg_policy WHERE polrelid = c.oid ORDER BY 1),
      'columns', (${columns}), 'indexes', (${indexes}), 'triggers', (${triggers}),
      'partitions', ARRAY(
        SELECT json_build_array(pn.nspname, p.relname) FROM pg_partition_tree(c.oid) leaf JOIN pg_class p ON p.oid = leaf.relid
        JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE leaf.isleaf AND c.relkind = 'p' ORDER BY pn.nspname, p.relname),
      'statistics', (
        SELECT json_build_object('rows', greatest(coalesce(max(n_live_tup), 0), (SELECT reltuples FROM pg_class WHERE oid = c.oid)::bigint, 0), 'inserts', coalesce(max(n_tup_ins), 0),
          'updates', coalesce(max(n_tup_upd), 0), 'deletes', coalesce(max(n_tup_del), 0))
        FROM pg_stat_all_tables WHERE relid = c.oid)) END)
  FROM (SELECT $1::text AS schema, $2::text AS name) wanted
  LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
    ON n.nspname = wanted.schema AND c.relname = wanted.name`;
