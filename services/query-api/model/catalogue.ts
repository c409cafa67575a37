import * as z from 'zod';
import { CdcError } from '#pipeline/index.ts';
import { deletedColumn, lsnColumn, qualified, queryText, topicOfMirror, type Database } from '#read-model/index.ts';
import type { Column } from './values.ts';

/** A mirror or a projection of the model, as the API serves it. */
export type Table = {
  readonly name: string;
  readonly kind: 'mirror' | 'projection';
  /** The source table of a mirror. */
  readonly source: { readonly schema: string; readonly table: string } | null;
  readonly columns: readonly Column[];
  /** Columns of the primary key, in its order. */
  readonly key: readonly Column[];
  /** Leading plain columns of each index by which Postgres can read in order, the key among them. */
  readonly indexes: readonly (readonly Column[])[];
  /** The column that says when a row was deleted; null where deleted rows go. */
  readonly deleted: string | null;
  /** Topics whose events change the table. */
  readonly topics: readonly string[];
};

/** What a model has, at one moment. */
export type Catalogue = {
  /** Changes with whatever of it the read model changes: version, mirrors, columns, projections. */
  readonly fingerprint: string;
  readonly tables: ReadonlyMap<string, Table>;
};

/** Differs between one catalogue and another, as SQL. Cheap, so that it can be asked again and again. */
export function fingerprintSql(model: string): string {
  return `(SELECT v.version || '/' || v.projections FROM ${qualified(model, 'model_version')} v) || (
    SELECT pg_catalog.concat_ws('/', '', count(*), sum(columns_version), max(made_at), count(*) FILTER (WHERE deletes = 'mark'))
      FROM ${qualified(model, 'mirrored_tables')})`;
}

const described = z.object({
  name: z.string(),
  kind: z.enum(['mirror', 'projection']),
  marks: z.boolean(),
  source: z.object({ schema: z.string(), table: z.string() }).nullable(),
  reads: z.array(z.string()),
  columns: z.array(
    z.object({
      at: z.number(),
      name: z.string(),
      type: z.string(),
      base: z.string().nullable(),
      isArray: z.boolean(),
      notNull: z.boolean(),
    }),
  ),
  indexes: z.array(z.object({ primary: z.boolean(), columns: z.array(z.number()), options: z.array(z.number()) })).nullable(),
});
type Described = z.output<typeof described>;

/**
 * Reads what the model has. One statement; the fingerprint first, so that it is never newer than the tables that it is of.
 *
 * @throws CdcError READ_MODEL_NOT_MIGRATED when there is no such model
 */
export async function readCatalogue(database: Database, model: string, topicPrefix: string): Promise<Catalogue> {
  const [there] = await queryText(database, 'SELECT pg_catalog.to_regclass($1) IS NOT NULL', [qualified(model, 'model_version')]);
  if (there?.[0] !== 't') throw new CdcError('READ_MODEL_NOT_MIGRATED', `the read database has no read model ${model}`);
  const rows = await queryText(
    database,
    `WITH print AS MATERIALIZED (SELECT ${fingerprintSql(model)} AS fingerprint),
     named AS (
       SELECT mirror_table::text AS name, 'mirror' AS kind, deletes = 'mark' AS marks,
              json_build_object('schema', source_schema, 'table', source_table) AS source, '[]'::jsonb AS reads
         FROM ${qualified(model, 'mirrored_tables')}
       UNION ALL
       SELECT name::text, 'projection', false, null, definition -> 'reads' FROM ${qualified(model, 'model_projections')})
     SELECT p.fingerprint, CASE WHEN n.name IS NOT NULL THEN (SELECT row_to_json(d) FROM (SELECT n.name, n.kind, n.marks, n.source, n.reads,
        (SELECT json_agg(json_build_object('at', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, -1), 'notNull', a.attnotnull,
                  'base', CASE WHEN s.nspname = 'pg_catalog' THEN b.typname END, 'isArray', e.oid IS NOT NULL) ORDER BY a.attnum)
           FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
           LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
           JOIN pg_type b ON b.oid = coalesce(e.oid, t.oid) JOIN pg_namespace s ON s.oid = b.typnamespace
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
        (SELECT json_agg(json_build_object('primary', i.indisprimary, 'columns', i.indkey::int2[], 'options', i.indoption::int2[]))
           FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
          WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree') AS indexes) AS d) END
       FROM print p LEFT JOIN (named n
       JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', $1::text, n.name))) ON true`,
    [model],
  );
  const found = rows.flatMap(([, json]) => (typeof json === 'string' ? [described.parse(JSON.parse(json))] : []));
  const topics = new Map(found.flatMap(({ name, source }) => (source === null ? [] : [[name, topicOfMirror(topicPrefix, source)]])));
  const tables = found.flatMap((table) => {
    const read = toTable(table, topics);
    return read === null ? [] : [[table.name, read] as const];
  });
  return { fingerprint: rows[0]?.[0] ?? '', tables: new Map(tables) };
}

/** Null for one without a key, which no row can be asked by. */
function toTable({ name, kind, marks, source, reads, columns, indexes }: Described, topics: ReadonlyMap<string, string>): Table | null {
  const own = new Set([...(kind === 'mirror' ? [lsnColumn] : []), ...(marks ? [deletedColumn] : [])]);
  const shown = columns.filter((column) => !own.has(column.name));
  const byNumber = new Map(shown.map((column) => [column.at, column]));
  const ordered = (indexes ?? []).map((index) => ({ ...index, columns: leadingColumns(index, byNumber) }));
  const key = ordered.find(({ primary }) => primary)?.columns ?? [];
  if (key.length === 0) return null;
  const wanted = source === null ? reads : [name];
  return {
    name,
    kind,
    source,
    columns: shown,
    key,
    indexes: [key, ...ordered.filter(({ primary, columns: listed }) => !primary && listed.length > 0).map((index) => index.columns)],
    deleted: marks ? deletedColumn : null,
    topics: wanted.flatMap((mirror) => topics.get(mirror) ?? []).toSorted(),
  };
}

/** The columns that an index begins with, as long as they are columns and go one way: what it can be read in order by. Those it only includes have no option. */
export function leadingColumns(
  { columns, options }: { columns: readonly number[]; options: readonly number[] },
  byNumber: ReadonlyMap<number, Column>,
): Column[] {
  const found: Column[] = [];
  for (const [place, option] of options.entries()) {
    const column = byNumber.get(columns[place] ?? 0);
    if (column === undefined || option !== options[0] || (option !== 0 && option !== 3)) break;
    found.push(column);
  }
  return found;
}
