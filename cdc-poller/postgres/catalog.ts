import * as z from 'zod';
import { parseTableId } from '#change-events/index.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import { vectorDelimiter } from './values/array-text.ts';
import { knownTypesSql, unknownPartSql } from './values/known-types.ts';
import { parseRelationState } from '../source/table/relation-state.ts';
import { relationStateSql } from './relation-state.ts';
import { readSurroundings } from './surroundings.ts';
import { missingTable, type CatalogColumn, type CatalogSequence, type CatalogTable } from '../source/table/catalog-table.ts';
import type { CatalogRequest, CatalogSource, DescribedColumn, ServerIdentity, TextQuery } from '../source/dialect.ts';

/**
 * Reads what the catalogue has of a table, view or configured query; needs no rights on a table.
 *
 * @throws CdcError QUERY_INVALID, or SELECT_MISSING for a configured query
 */
export async function readCatalog(source: CatalogSource, config: CatalogRequest): Promise<CatalogTable> {
  const id = parseTableId(config.table);
  if (config.query !== undefined)
    return { ...missingTable(id), exists: true, kind: 'q', readable: true, columns: await queryColumns(source, config, config.query) };
  // To plan these takes the server many times as long as to run them, and a pattern asks them of each table again and again.
  const query = source.prepared ?? source.query;
  const [relation] = await query(relationQuery, [id.schema, id.table]);
  if (relation === undefined) {
    const similar = await query(similarQuery, [id.table]);
    return { ...missingTable(id), similar: similar.map(([name]) => name ?? '') };
  }
  const [oid, kind, readable, state, schemaUsable] = relation.map((value) => value ?? '');
  const [columns, primaryKey, indexes, sequences] = [
    await query(columnsQuery, [oid ?? '']),
    await query(primaryKeyQuery, [oid ?? '']),
    await query(indexesQuery, [oid ?? '']),
    await query(sequenceQuery, [oid ?? '', config.incrementingColumn]),
  ];
  const named = indexes.map(([unique, names]) => ({ unique: unique === 't', names: nameList(names) }));
  return {
    ...missingTable(id),
    exists: true,
    kind: kind ?? '',
    readable: readable === 't',
    columns: columns.map(columnOf),
    primaryKey: primaryKey.map(([name]) => name ?? ''),
    uniqueKeys: named.filter(({ unique }) => unique).map(({ names }) => names),
    indexes: named.map(({ names }) => names),
    sequence: sequences.map(sequenceOf)[0] ?? null,
    relation: parseRelationState(state ?? ''),
    schemaUsable: schemaUsable === 't',
    ...(await readSurroundings(query, oid ?? '')),
  };
}

async function queryColumns(source: CatalogSource, { table }: CatalogRequest, query: string): Promise<readonly CatalogColumn[]> {
  let described: readonly DescribedColumn[];
  try {
    described = await source.describe(`SELECT * FROM (${query}\n) AS source LIMIT 0`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
    const problem = `the query of ${table} was refused: ${describeError(error)}`;
    if (code === '42501') throw new CdcError('SELECT_MISSING', problem, { cause: error });
    // Class 42: syntax or a name; 22, 0A: what no query may do. Everything else is no fault of the query.
    if (/^(?:42|22|0A)/.test(code)) throw new CdcError('QUERY_INVALID', problem, { cause: error });
    throw error;
  }
  const values = [
    `{${described.map((_, index) => index + 1).join(',')}}`,
    `{${described.map(({ name }) => `"${name.replaceAll(/[\\"]/g, String.raw`\\$&`)}"`).join(',')}}`,
    `{${described.map(({ typeOid }) => typeOid).join(',')}}`,
    `{${described.map(({ modifier }) => modifier).join(',')}}`,
  ];
  const columns = await source.query(describedColumnsQuery, values);
  return columns.map(columnOf);
}

function columnOf(row: readonly (string | null)[]): CatalogColumn {
  const [name, typeName, delimiters, modifier, notNull, sqlType, readable, kind, unknownPart, isExact] = row;
  return {
    name: name ?? '',
    type: columnType(typeName ?? '', delimiters ?? '', Number(modifier)),
    sqlType: sqlType ?? '',
    notNull: notNull === 't',
    readable: readable === 't',
    kind: kind ?? 'b',
    unknownPart: unknownPart ?? null,
    collation: isExact === 't' ? 'exact' : 'loose',
  };
}

/** Types that are arrays in all but their text. */
const vectors: Readonly<Record<string, string>> = { int2vector: 'int2', oidvector: 'oid' };

function columnType(typeName: string, delimiters: string, modifier: number): CatalogColumn['type'] {
  const element = vectors[typeName];
  const all = [...delimiters.split(''), ...(element === undefined ? [] : [vectorDelimiter])];
  const type = { name: element ?? typeName, isArray: all.length > 0, modifier };
  return all.join('') === ',' || all.length === 0 ? type : { ...type, delimiters: all };
}

function sequenceOf([oid, name, increment, cache, cycles, readable]: readonly (string | null)[]): CatalogSequence {
  return {
    oid: oid ?? '',
    name: name ?? '',
    increment: BigInt(increment ?? '1'),
    cache: BigInt(cache ?? '1'),
    cycles: cycles === 't',
    readable: readable === 't',
  };
}

/** Names come as JSON: a name may hold any sign that a list could be cut at. */
function nameList(text: string | null | undefined): readonly string[] {
  return z.array(z.string()).parse(JSON.parse(text ?? '[]'));
}

export async function readServerIdentity(query: TextQuery): Promise<ServerIdentity> {
  const [row = []] = await query(identityQuery);
  const [systemIdentifier, timeline, inRecovery, database, role, log, nextXid] = row;
  return {
    systemIdentifier: systemIdentifier ?? '',
    timeline: timeline ?? '',
    inRecovery: inRecovery === 't',
    database: database ?? '',
    role: role ?? '',
    log: log ?? null,
    nextXid: nextXid ? BigInt(nextXid) : null,
    readOnly: inRecovery === 't',
  };
}

/** Where the log is on disk: a crash takes nothing from before it. What is written and not flushed may be lost, and proves nothing. */
export const flushedSql = 'CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn() END';

/**
 * The timeline is in the name of the WAL file that is written now. The control file's is the last checkpoint's: after a promotion it
 * stays the old one for a while. On a standby the WAL functions refuse.
 */
const identityQuery = `
  SELECT (SELECT system_identifier FROM pg_control_system()),
         CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
              ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
         pg_is_in_recovery(), current_database(), current_user, ${flushedSql}, pg_snapshot_xmax(pg_current_snapshot())`;

/** has_table_privilege says yes also where the schema's USAGE is missing. */
const relationQuery = `
  SELECT c.oid, c.relkind, has_table_privilege(c.oid, 'SELECT'), ${relationStateSql('c')}, has_schema_privilege(n.oid, 'USAGE')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

const similarQuery = `
  SELECT n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (c.relname ILIKE '%' || $1 || '%' OR $1 ILIKE '%' || c.relname || '%')
  ORDER BY 1 LIMIT 3`;

/**
 * The type of this oid, looked up by its index. The server cannot foresee how few types a table has, and would read all of pg_type, in which each
 * table of the database has two rows.
 */
const typeOf = (oid: string): string => `(SELECT * FROM pg_type WHERE oid = ${oid} OFFSET 0)`;

/**
 * A domain counts as its base type, an array as its element, domains and arrays among elements too: `delimiters` has what parts each level's elements.
 * A type of pg_catalog is identified by its name, any other by its schema too. `outermost` is what the column's own values are, for a cast.
 */
const typed = `
  typed AS (
    SELECT attnum, attname, attnotnull, modifier, type, readable, collation_oid, type AS outermost, ''::text AS delimiters FROM base
    UNION ALL
    SELECT b.attnum, b.attname, b.attnotnull OR (t.typnotnull AND b.delimiters = ''), CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE b.modifier END,
           coalesce(e.oid, t.typbasetype), b.readable, b.collation_oid,
           CASE WHEN b.delimiters = '' AND e.oid IS NULL THEN t.typbasetype ELSE b.outermost END, b.delimiters || coalesce(e.typdelim::text, '')
    FROM typed b CROSS JOIN LATERAL ${typeOf('b.type')} AS t LEFT JOIN LATERAL ${typeOf('t.typelem')} AS e ON e.typarray = t.oid
    WHERE t.typtype = 'd' OR e.oid IS NOT NULL
  )
  SELECT b.attname, CASE WHEN n.nspname = 'pg_catalog' THEN t.typname::text ELSE quote_ident(n.nspname) || '.' || quote_ident(t.typname) END,
         b.delimiters, b.modifier, b.attnotnull, quote_ident(own_schema.nspname) || '.' || quote_ident(own.typname), b.readable, t.typtype,
         CASE WHEN n.nspname = 'pg_catalog' AND (t.typtype IN ('r', 'm') OR t.typname = ANY (${knownTypesSql})) OR t.typtype = 'e' THEN NULL
              ELSE ${unknownPartSql('t.oid')} END,
         coalesce((to_jsonb(l) ->> 'collisdeterministic')::bool, true)
  FROM typed b CROSS JOIN LATERAL ${typeOf('b.type')} AS t JOIN pg_namespace n ON n.oid = t.typnamespace
  CROSS JOIN LATERAL ${typeOf('b.outermost')} AS own JOIN pg_namespace own_schema ON own_schema.oid = own.typnamespace
  LEFT JOIN pg_collation l ON l.oid = b.collation_oid
  WHERE t.typtype <> 'd' AND NOT EXISTS (SELECT FROM ${typeOf('t.typelem')} AS e WHERE e.typarray = t.oid)
  ORDER BY b.attnum`;

/**
 * A column is of use only with the row's xmin, which wants a right of its own where the table's is missing. The oid is asked for by a SELECT of its own: a plan
 * for this one table would then be no cheaper than the one for all, which the server keeps.
 */
const columnsQuery = `
  WITH RECURSIVE base AS (
    SELECT a.attnum, a.attname, a.attnotnull, a.atttypmod AS modifier, a.atttypid AS type, a.attcollation AS collation_oid,
           has_column_privilege(c.oid, a.attnum, 'SELECT')
             AND (c.relkind NOT IN ('r', 'p') OR has_column_privilege(c.oid, 'xmin', 'SELECT')) AS readable
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = (SELECT $1::oid) AND a.attnum > 0 AND NOT a.attisdropped
  ), ${typed}`;

const describedColumnsQuery = `
  WITH RECURSIVE base AS (
    SELECT attnum, attname, false AS attnotnull, modifier, type, 0::oid AS collation_oid, true AS readable
    FROM unnest($1::int[], $2::text[], $3::oid[], $4::int[]) AS described (attnum, attname, type, modifier)
  ), ${typed}`;

const primaryKeyQuery = `
  SELECT a.attname FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = $1::oid AND i.indisprimary
  ORDER BY k.place`;

/** Whole-table indexes on plain columns. One that takes nulls as distinct is unique of the columns that are not null, which is asked elsewhere. */
const indexesQuery = `
  SELECT i.indisunique AND i.indimmediate, json_agg(a.attname ORDER BY k.place)
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
  GROUP BY i.indexrelid, i.indisunique, i.indimmediate
  ORDER BY i.indexrelid`;

/** An identity column's sequence depends on the column; a default's expression depends on the sequence. */
const sequenceQuery = `
  SELECT s.seqrelid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), s.seqincrement, s.seqcache, s.seqcycle, has_sequence_privilege(s.seqrelid, 'SELECT')
  FROM pg_attribute a
  JOIN pg_depend d ON
    (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i')
    OR (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.objid = (SELECT f.oid FROM pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum))
  JOIN pg_sequence s ON s.seqrelid = CASE WHEN d.classid = 'pg_attrdef'::regclass THEN d.refobjid ELSE d.objid END
  JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attrelid = $1::oid AND a.attname = $2`;
