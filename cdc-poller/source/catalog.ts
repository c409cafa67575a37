import { parseTableId } from '#change-events/index.ts';
import { CdcError, describeError, type PollerTableConfig } from '#pipeline/index.ts';
import { parseRelationState, relationStateSql } from './relation-state.ts';
import type { CatalogColumn, CatalogSequence, CatalogTable } from './table-shape.ts';

/** Runs a query and gives its rows as texts. */
export type TextQuery = (text: string, values?: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>;

/** A column of a query's result, as the server describes it: its type's oid, in MariaDB the type's name. */
export type DescribedColumn = { readonly name: string; readonly typeOid: string; readonly modifier: number };

/** What the catalogue is read through: a SourceSession. */
export type CatalogSource = {
  query: TextQuery;
  /** The columns that a SELECT gives; reads no row. */
  describe(text: string): Promise<readonly DescribedColumn[]>;
};

/**
 * Reads what the catalogue tells of a table, view or configured query; needs no rights on a table.
 *
 * @throws CdcError QUERY_INVALID, or SELECT_MISSING for a configured query
 */
export async function readCatalog(source: CatalogSource, config: PollerTableConfig): Promise<CatalogTable> {
  const id = parseTableId(config.table);
  if (config.query !== undefined)
    return { ...nothing(id), exists: true, kind: 'q', readable: true, columns: await queryColumns(source, config, config.query) };
  const { query } = source;
  const [relation] = await query(relationQuery, [id.schema, id.table]);
  if (relation === undefined) {
    const similar = await query(similarQuery, [id.table]);
    return { ...nothing(id), similar: similar.map(([name]) => name ?? '') };
  }
  const [oid, kind, readable, state] = relation.map((value) => value ?? '');
  const [columns, primaryKey, indexes, sequences] = [
    await query(columnsQuery, [oid ?? '']),
    await query(primaryKeyQuery, [oid ?? '']),
    await query(indexesQuery, [oid ?? '']),
    await query(sequenceQuery, [oid ?? '', config.incrementingColumn]),
  ];
  const named = indexes.map(([unique, names]) => ({ unique: unique === 't', names: textArray(names) }));
  return {
    ...nothing(id),
    exists: true,
    kind: kind ?? '',
    readable: readable === 't',
    columns: columns.map(columnOf),
    primaryKey: primaryKey.map(([name]) => name ?? ''),
    uniqueKeys: named.filter(({ unique }) => unique).map(({ names }) => names),
    indexes: named.map(({ names }) => names),
    sequence: sequences.map(sequenceOf)[0] ?? null,
    relation: parseRelationState(state ?? ''),
  };
}

function nothing(id: CatalogTable['id']): CatalogTable {
  return {
    id,
    exists: false,
    kind: '',
    readable: false,
    columns: [],
    primaryKey: [],
    uniqueKeys: [],
    indexes: [],
    sequence: null,
    similar: [],
    relation: null,
  };
}

async function queryColumns(source: CatalogSource, { table }: PollerTableConfig, query: string): Promise<readonly CatalogColumn[]> {
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
    `{${described.map(({ name }) => JSON.stringify(name)).join(',')}}`,
    `{${described.map(({ typeOid }) => typeOid).join(',')}}`,
    `{${described.map(({ modifier }) => modifier).join(',')}}`,
  ];
  const columns = await source.query(describedColumnsQuery, values);
  return columns.map(columnOf);
}

function columnOf([name, typeName, isArray, modifier, notNull, sqlType, readable]: readonly (string | null)[]): CatalogColumn {
  return {
    name: name ?? '',
    type: { name: typeName ?? '', isArray: isArray === 't', modifier: Number(modifier) },
    sqlType: sqlType ?? '',
    notNull: notNull === 't',
    readable: readable === 't',
  };
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

/** Names come one a line: no array syntax to read. */
function textArray(text: string | null | undefined): readonly string[] {
  return text ? text.split('\n') : [];
}

/** The database, its role and itself. */
export type ServerIdentity = {
  readonly systemIdentifier: string;
  readonly timeline: string;
  readonly inRecovery: boolean;
  readonly database: string;
  readonly role: string;
  /** How far the server's log is, where it tells. */
  readonly log: string | null;
  /** It takes no writes but its own replication's, as far as that is known. */
  readonly readOnly: boolean;
};

export async function readServerIdentity(query: TextQuery): Promise<ServerIdentity> {
  const [row = []] = await query(identityQuery);
  const [systemIdentifier, timeline, inRecovery, database, role] = row;
  return {
    systemIdentifier: systemIdentifier ?? '',
    timeline: timeline ?? '',
    inRecovery: inRecovery === 't',
    database: database ?? '',
    role: role ?? '',
    log: null,
    readOnly: inRecovery === 't',
  };
}

/**
 * The timeline stands in the name of the WAL file that is written now. The control file's is the last checkpoint's: after a promotion it
 * stays the old one for a while. On a standby the WAL functions refuse.
 */
const identityQuery = `
  SELECT (SELECT system_identifier FROM pg_control_system()),
         CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
              ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
         pg_is_in_recovery(), current_database(), current_user`;

/** has_table_privilege alone says yes where the schema's USAGE is missing. */
const relationQuery = `
  SELECT c.oid, c.relkind, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'), ${relationStateSql('c')}
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`;

const similarQuery = `
  SELECT n.nspname || '.' || c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (c.relname ILIKE '%' || $1 || '%' OR $1 ILIKE '%' || c.relname || '%')
  ORDER BY 1 LIMIT 3`;

/** A domain is told as its base type, an array as its element. */
const typed = `
  typed AS (
    SELECT attnum, attname, attnotnull, modifier, type, readable FROM base
    UNION ALL
    SELECT b.attnum, b.attname, b.attnotnull OR t.typnotnull, t.typtypmod, t.typbasetype, b.readable FROM typed b JOIN pg_type t ON t.oid = b.type
    WHERE t.typtype = 'd'
  )
  SELECT b.attname, coalesce(e.typname, t.typname), e.oid IS NOT NULL, b.modifier, b.attnotnull,
         quote_ident(n.nspname) || '.' || quote_ident(t.typname), b.readable
  FROM typed b JOIN pg_type t ON t.oid = b.type JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  WHERE t.typtype <> 'd'
  ORDER BY b.attnum`;

/** A column is of use only with the row's xmin, which wants a right of its own where the table's is missing. */
const columnsQuery = `
  WITH RECURSIVE base AS (
    SELECT a.attnum, a.attname, a.attnotnull, a.atttypmod AS modifier, a.atttypid AS type,
           has_schema_privilege(c.relnamespace, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
             AND (c.relkind NOT IN ('r', 'p') OR has_column_privilege(c.oid, 'xmin', 'SELECT')) AS readable
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
  ), ${typed}`;

const describedColumnsQuery = `
  WITH RECURSIVE base AS (
    SELECT attnum, attname, false AS attnotnull, modifier, type, true AS readable
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
  SELECT i.indisunique AND i.indimmediate, string_agg(a.attname, E'\\n' ORDER BY k.place)
  FROM pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
  GROUP BY i.indexrelid, i.indisunique, i.indimmediate
  ORDER BY i.indexrelid`;

/** An identity column's sequence depends on the column; a default's expression depends on the sequence. */
const sequenceQuery = `
  SELECT s.seqrelid, n.nspname || '.' || c.relname, s.seqincrement, s.seqcache, s.seqcycle, has_sequence_privilege(s.seqrelid, 'SELECT')
  FROM pg_attribute a
  JOIN pg_depend d ON
    (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i')
    OR (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.objid = (SELECT f.oid FROM pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum))
  JOIN pg_sequence s ON s.seqrelid = CASE WHEN d.classid = 'pg_attrdef'::regclass THEN d.refobjid ELSE d.objid END
  JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attrelid = $1::oid AND a.attname = $2`;
