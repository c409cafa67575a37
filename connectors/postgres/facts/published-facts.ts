import * as z from 'zod';

const name = z.object({ schema: z.string(), table: z.string() });
const identity = z.enum(['d', 'n', 'f', 'i']);

const publicationSchema = z.object({
  name: z.string(),
  updates: z.boolean(),
  deletes: z.boolean(),
  viaRoot: z.boolean(),
  /** Whether generated columns that are stored are published where no column list names them; Postgres 18. */
  stored: z.boolean(),
  everything: z.boolean(),
  /** As which relation its changes are published: itself, or a parent. */
  as: name,
  /** Which relation of its line is named in the publication; null where a schema, or everything, is published. */
  member: name.nullable(),
  /** The column list; null: all. */
  columns: z.array(z.string()).nullable(),
  /** Columns that the row filter reads. */
  filter: z.array(z.string()),
});

const indexSchema = z.object({ name: z.string(), columns: z.array(z.string()) });

const relationSchema = z.object({
  id: name,
  /** r a table, p partitioned, f foreign. */
  kind: z.string(),
  persistence: z.enum(['p', 'u', 't']),
  /** The owner's role may use the rights of the relation's owner. */
  owned: z.boolean(),
  leaf: z.boolean(),
  identity,
  /** The index that is its identity now; null where there is none, or it is gone. */
  identityIndex: indexSchema.nullable(),
  /** The primary key, where it can serve as identity: not deferrable, valid. */
  key: indexSchema.nullable(),
  /** Unique indexes that can serve as identity: whole, of columns that are NOT NULL. */
  unique: z.array(indexSchema),
  stored: z.array(z.string()),
  virtual: z.array(z.string()),
  /** All publications of the database that hold it, whoever made them. */
  publications: z.array(publicationSchema),
});

/** A column as its type is stored: of a domain the base type, of an array what its elements are. */
const columnSchema = z.object({
  name: z.string(),
  isArray: z.boolean(),
  /** As declared; 0 where it is no array. */
  dimensions: z.number(),
  element: z.object({
    name: z.string(),
    /** As pg_type has it: b base, c composite, d domain, e enum, r range, m multirange. */
    kind: z.string(),
    builtIn: z.boolean(),
    /** It is none of pg_catalog, but has the name of one. */
    calledAsBuiltIn: z.boolean(),
    /** Of an extension; null: of none. */
    extension: z.string().nullable(),
  }),
});

const publishableSchema = z.object({
  id: name,
  kind: z.enum(['r', 'p', 'v', 'm', 'f']),
  persistence: z.enum(['p', 'u', 't']),
  owner: z.string(),
  version: z.number(),
  /** Columns of the primary key, whether it can serve as identity or not. */
  keyColumns: z.array(z.string()),
  /** Tables that inherit from it, partitions not counted. */
  children: z.array(name),
  columns: z.array(columnSchema),
  /** The table itself, and all partitions at any depth. */
  relations: z.array(relationSchema),
});

export type RelationName = z.output<typeof name>;
export type PublicationOfRelation = z.output<typeof publicationSchema>;
export type RelationFacts = z.output<typeof relationSchema>;
export type ColumnFacts = z.output<typeof columnSchema>;
/** What decides whether a table can be published, and how, without harm to who writes it. */
export type PublishableTable = z.output<typeof publishableSchema>;
export const publishableTables: z.ZodType<readonly PublishableTable[]> = z.array(publishableSchema);

const attributes = (oid: string, numbers: string): string =>
  `(SELECT coalesce(json_agg(a.attname ORDER BY k.position), '[]') FROM unnest(${numbers}) WITH ORDINALITY AS k(number, position)
    JOIN pg_attribute a ON a.attrelid = ${oid} AND a.attnum = k.number)`;

const index = (condition: string): string => `
  SELECT json_build_object('name', x.relname, 'columns', ${attributes('i.indrelid', '(i.indkey::int2[])[0:i.indnkeyatts - 1]')})
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = r.oid AND ${condition}`;

const keyServes = 'i.indisprimary AND i.indimmediate AND i.indisvalid';

/** What Postgres asks of REPLICA IDENTITY USING INDEX. */
const indexServes = `i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (
  SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k(number) LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
  WHERE k.number <= 0 OR NOT coalesce(a.attnotnull, false))`;

/**
 * A relation is in a publication when it, a parent, or a schema of them is; with publish_via_partition_root it is published as the topmost of them. Postgres 15
 * has schemas in publications; what older servers lack is read from a row as JSON.
 */
const publications = (schemas: boolean): string => `
  SELECT coalesce(json_agg(json_build_object(
      'name', p.pubname, 'updates', p.pubupdate, 'deletes', p.pubdelete, 'viaRoot', p.pubviaroot, 'everything', p.puballtables,
      'stored', coalesce(to_jsonb(p) ->> 'pubgencols', 'n') = 's',
      'as', json_build_object('schema', en.nspname, 'table', e.relname),
      'member', (SELECT json_build_object('schema', mn.nspname, 'table', m.relname) FROM pg_class m JOIN pg_namespace mn ON mn.oid = m.relnamespace WHERE m.oid = line.named),
      'columns', (SELECT ${attributes('e.oid', "ARRAY(SELECT jsonb_array_elements_text(to_jsonb(pr) -> 'prattrs')::int2)")}
        FROM pg_publication_rel pr WHERE pr.prpubid = p.oid AND pr.prrelid = e.oid AND jsonb_typeof(to_jsonb(pr) -> 'prattrs') = 'array'),
      'filter', (SELECT coalesce(json_agg(DISTINCT a.attname), '[]') FROM pg_publication_rel pr,
          regexp_matches(to_jsonb(pr) ->> 'prqual', ':varattno (\\d+)', 'g') AS found(numbers)
        JOIN pg_attribute a ON a.attnum = found.numbers[1]::int WHERE pr.prpubid = p.oid AND pr.prrelid = e.oid AND a.attrelid = e.oid)
    ) ORDER BY p.pubname), '[]')
  FROM pg_publication p
  CROSS JOIN LATERAL (
    SELECT (array_agg(up.oid ORDER BY up.step DESC))[1] AS top,
      (array_agg(up.oid ORDER BY up.step DESC) FILTER (WHERE EXISTS (
        SELECT FROM pg_publication_rel pr WHERE pr.prpubid = p.oid AND pr.prrelid = up.oid)))[1] AS named
    FROM (SELECT a.relid::oid AS oid, a.step FROM pg_partition_ancestors(r.oid) WITH ORDINALITY AS a(relid, step)
          UNION SELECT r.oid, 1) up
    JOIN pg_class c ON c.oid = up.oid
    WHERE p.puballtables OR EXISTS (SELECT FROM pg_publication_rel pr WHERE pr.prpubid = p.oid AND pr.prrelid = up.oid)
      ${schemas ? 'OR EXISTS (SELECT FROM pg_publication_namespace pn WHERE pn.pnpubid = p.oid AND pn.pnnspid = c.relnamespace)' : ''}
  ) line
  JOIN pg_class e ON e.oid = CASE WHEN p.pubviaroot THEN line.top ELSE r.oid END JOIN pg_namespace en ON en.oid = e.relnamespace
  WHERE line.top IS NOT NULL AND r.relpersistence = 'p'`;

const generated = (which: string): string =>
  `ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attgenerated = '${which}' AND NOT a.attisdropped ORDER BY a.attnum)`;

const relations = (schemas: boolean): string => `
  SELECT json_agg(json_build_object(
      'id', json_build_object('schema', rn.nspname, 'table', r.relname), 'kind', r.relkind, 'persistence', r.relpersistence,
      'owned', pg_has_role(coalesce((SELECT oid FROM pg_roles WHERE rolname = $3), r.relowner), r.relowner, 'USAGE'),
      'leaf', r.relkind <> 'p', 'identity', r.relreplident,
      'identityIndex', (SELECT CASE r.relreplident WHEN 'i' THEN (${index('i.indisreplident AND i.indisvalid AND i.indimmediate')}) END),
      'key', (${index(keyServes)}),
      'unique', (SELECT coalesce(json_agg(one.fit), '[]') FROM (${index(`${indexServes} AND NOT i.indisprimary`)}) AS one(fit)),
      'stored', ${generated('s')}, 'virtual', ${generated('v')},
      'publications', (${publications(schemas)})) ORDER BY tree.level, r.relname)
  FROM (SELECT relid::oid AS oid, level FROM pg_partition_tree(c.oid) UNION SELECT c.oid, 0) tree
  JOIN pg_class r ON r.oid = tree.oid JOIN pg_namespace rn ON rn.oid = r.relnamespace`;

const columns = `
  SELECT coalesce(json_agg(json_build_object('name', a.attname, 'isArray', element.oid IS NOT NULL, 'dimensions', greatest(a.attndims, base.dimensions),
      'element', json_build_object('name', core.typname, 'kind', core.typtype, 'builtIn', core.typnamespace = 'pg_catalog'::regnamespace,
        'calledAsBuiltIn', core.typnamespace <> 'pg_catalog'::regnamespace
          AND EXISTS (SELECT FROM pg_type other WHERE other.typname = core.typname AND other.typnamespace = 'pg_catalog'::regnamespace),
        'extension', (SELECT min(x.extname) FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
          WHERE d.classid = 'pg_type'::regclass AND d.objid = core.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'))) ORDER BY a.attnum), '[]')
  FROM pg_attribute a, LATERAL (
    WITH RECURSIVE base AS (
      SELECT t.oid, t.typtype, t.typbasetype, t.typelem, t.typndims FROM pg_type t WHERE t.oid = a.atttypid
      UNION ALL SELECT t.oid, t.typtype, t.typbasetype, t.typelem, greatest(t.typndims, b.typndims) FROM base b JOIN pg_type t ON t.oid = b.typbasetype
        WHERE b.typtype = 'd')
    SELECT oid, typelem, typndims AS dimensions FROM base WHERE typtype <> 'd') base
  LEFT JOIN pg_type element ON element.oid = base.typelem AND element.typarray = base.oid
  JOIN pg_type core ON core.oid = coalesce(element.oid, base.oid)
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`;

/**
 * Selects one JSON array: the tables named by $1 (JSON, `[{schema, table}]`), and all that the publications named by $2 hold. $3 is the owner's role. Any role may
 * ask. Opens each published table (ACCESS SHARE) where $2 names a publication. Statement and shape belong together ({@link publishableTables}).
 */
export function publishableQuery(serverVersion: number): string {
  return `
  SELECT coalesce(json_agg(json_build_object(
      'id', json_build_object('schema', n.nspname, 'table', c.relname), 'kind', c.relkind, 'persistence', c.relpersistence,
      'owner', pg_get_userbyid(c.relowner), 'version', current_setting('server_version_num')::int / 10000,
      'keyColumns', coalesce((SELECT ${attributes('i.indrelid', '(i.indkey::int2[])[0:i.indnkeyatts - 1]')} FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisprimary), '[]'),
      'children', (SELECT coalesce(json_agg(json_build_object('schema', kn.nspname, 'table', k.relname) ORDER BY k.relname), '[]')
        FROM pg_inherits h JOIN pg_class k ON k.oid = h.inhrelid AND NOT k.relispartition JOIN pg_namespace kn ON kn.oid = k.relnamespace
        WHERE h.inhparent = c.oid AND c.relkind = 'r'),
      'columns', (${columns}),
      'relations', (${relations(serverVersion >= 150_000)})) ORDER BY n.nspname, c.relname), '[]')
  FROM (
    SELECT c.oid FROM json_to_recordset($1::json) AS wanted(schema text, "table" text)
    JOIN pg_namespace n ON n.nspname = wanted.schema
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted."table" AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION
    SELECT c.oid FROM pg_publication_tables t JOIN pg_namespace n ON n.nspname = t.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename WHERE t.pubname = ANY ($2::text[])
  ) roots JOIN pg_class c ON c.oid = roots.oid JOIN pg_namespace n ON n.oid = c.relnamespace`;
}
