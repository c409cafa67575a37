import { DatabaseError } from 'pg';
import { parseTableId } from '#change-events/index.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import { missingTable, type CatalogColumn, type CatalogSequence, type CatalogTable } from '../source/table/catalog-table.ts';
import type { CatalogRequest, CatalogSource, ServerIdentity, TextQuery } from '../source/dialect.ts';
import { h2Table } from './names.ts';
import { columnsHashSql } from './relation-state.ts';
import { castOf, columnTypeOf, isKnown, microDigits, typesByOid } from './types.ts';

/**
 * Reads what information_schema has of a table or view, or what the server says of a configured query. It shows every column of a schema to everybody: the table
 * itself is asked whether it may be read.
 *
 * @throws CdcError QUERY_INVALID, or SELECT_MISSING for a configured query
 */
export async function readH2Catalog(source: CatalogSource, config: CatalogRequest): Promise<CatalogTable> {
  const id = parseTableId(config.table);
  const nothing = missingTable(id);
  if (config.query !== undefined) {
    return { ...nothing, exists: true, kind: 'q', readable: true, columns: await queryColumns(source, config, config.query) };
  }
  const { query } = source;
  const where = [id.schema, id.table];
  const refusal = await refusalOf(query, `SELECT 1 FROM ${h2Table(id)} FETCH FIRST 0 ROWS ONLY`);
  if (refusal === 'missing') return { ...nothing, similar: (await query(similarQuery, where)).map(([name]) => name ?? '') };
  const [[kind] = []] = await query(
    'SELECT t.table_type FROM information_schema.tables t WHERE t.table_schema = ? AND t.table_name = ?',
    where,
  );
  const columns = await query(columnsQuery, where);
  const indexes = indexesOf(await query(indexesQuery, where));
  const [[hash] = []] = await query(`SELECT ${columnsHashSql('?', '?')}`, [...where, ...where]);
  return {
    ...nothing,
    exists: true,
    kind: kind === 'BASE TABLE' ? 'b' : 'v',
    readable: refusal === null,
    columns: columns.map((row) => columnOf(row, refusal === null)),
    primaryKey: indexes.find(({ type }) => type === 'PRIMARY KEY')?.names ?? [],
    uniqueKeys: indexes.filter(({ unique }) => unique).map(({ names }) => names),
    indexes: indexes.filter(({ ascends }) => ascends).map(({ names }) => names),
    sequence: identityOf(columns.find(([name]) => name === config.incrementingColumn)),
    relation: { oid: `${id.schema}.${id.table}`, file: '', columnsHash: hash ?? '', keyIndex: '' },
  };
}

/** What the server says of a SELECT that it does not run. */
async function refusalOf(query: TextQuery, sql: string): Promise<'missing' | 'denied' | null> {
  try {
    await query(sql);
    return null;
  } catch (error) {
    if (isDenied(error)) return 'denied';
    if (isGone(error)) return 'missing';
    throw error;
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '90096';
}

/** No such table, column or schema. (42S04: none at all.) */
export function isGone(error: unknown): boolean {
  return error instanceof DatabaseError && ['42S02', '42S03', '42S04', '42S22', '90079'].includes(error.code ?? '');
}

async function queryColumns(source: CatalogSource, { table }: CatalogRequest, query: string): Promise<readonly CatalogColumn[]> {
  try {
    const columns = await source.describe(`SELECT * FROM (${query}\n) AS "source" FETCH FIRST 0 ROWS ONLY`);
    return columns.map(({ name, typeOid }) => {
      const dataType = typesByOid[Number(typeOid)];
      const declared = {
        dataType: dataType ?? `number ${typeOid}`,
        declared: '',
        digits: dataType?.startsWith('time') === true ? microDigits : null,
      };
      return {
        name,
        type: columnTypeOf(declared),
        sqlType: castOf(declared),
        notNull: false,
        readable: true,
        unknownPart: dataType === undefined ? declared.dataType : null,
        // H2 does not say.
        collation: 'loose' as const,
      };
    });
  } catch (error) {
    const problem = `the query of ${table} was refused: ${describeError(error)}`;
    if (isDenied(error)) throw new CdcError('SELECT_MISSING', problem, { cause: error });
    // Class 42: syntax or a name; 21, 22: what no query may do; 90…: H2's own.
    if (error instanceof DatabaseError && /^(?:42|21|22|90)/.test(error.code ?? ''))
      throw new CdcError('QUERY_INVALID', problem, { cause: error });
    throw error;
  }
}

type Row = readonly (string | null)[];

function columnOf([name, type, sql, nullable, digits, collation]: Row, readable: boolean): CatalogColumn {
  const dataType = type ?? '';
  const declared = { dataType, declared: sql ?? '', digits: digits === null || digits === undefined ? null : Number(digits) };
  return {
    name: name ?? '',
    type: columnTypeOf(declared),
    sqlType: castOf(declared),
    notNull: nullable === 'NO',
    readable,
    unknownPart: isKnown(dataType) ? null : dataType,
    collation: (collation ?? 'OFF') === 'OFF' ? 'exact' : 'loose',
  };
}

/** One sequence for all sessions, in steps of its own: what it holds ready it gives in order. */
function identityOf(column: Row | undefined): CatalogSequence | null {
  const [, , , , , , identity, increment, cycle, next] = column ?? [];
  if (identity !== 'YES') return null;
  return {
    oid: '',
    name: 'IDENTITY',
    increment: BigInt(increment ?? '1'),
    cache: 1n,
    cycles: cycle === 'YES',
    readable: false,
    next: next === null || next === undefined ? null : BigInt(next),
  };
}

type Index = { readonly type: string; readonly unique: boolean; readonly ascends: boolean; readonly names: string[] };

/** A descending column, and an index that is no tree, orders no pages. */
function indexesOf(rows: readonly Row[]): readonly Index[] {
  const indexes = new Map<string, Index>();
  for (const [name, type, unique, column, order] of rows) {
    const before = indexes.get(name ?? '');
    const isTree = !/HASH|SPATIAL|FULLTEXT/.test(type ?? '');
    indexes.set(name ?? '', {
      type: type ?? '',
      unique: unique === 't',
      ascends: (before?.ascends ?? true) && isTree && order !== 'DESC',
      names: [...(before?.names ?? []), column ?? ''],
    });
  }
  return [...indexes.values()];
}

const columnsQuery = `
  SELECT c.column_name, LOWER(c.data_type), DATA_TYPE_SQL(c.table_schema, c.table_name, 'TABLE', c.dtd_identifier), c.is_nullable, c.datetime_precision,
    c.collation_name, c.is_identity, c.identity_increment, c.identity_cycle, c.identity_base
  FROM information_schema.columns c WHERE c.table_schema = ? AND c.table_name = ? ORDER BY c.ordinal_position`;

const indexesQuery = `
  SELECT i.index_name, i.index_type_name, k.is_unique, k.column_name, k.ordering_specification
  FROM information_schema.indexes i JOIN information_schema.index_columns k ON k.index_schema = i.index_schema AND k.index_name = i.index_name
  WHERE i.table_schema = ? AND i.table_name = ? ORDER BY i.index_name, k.ordinal_position`;

const ownSchemas = "LOWER(t.table_schema) NOT IN ('information_schema', 'pg_catalog')";

const similarQuery = `
  SELECT t.table_schema || '.' || t.table_name FROM information_schema.tables t
  WHERE ${ownSchemas} AND (LOWER(t.table_schema) = LOWER(?) OR LOWER(t.table_name) = LOWER(?))
  ORDER BY 1 FETCH FIRST 3 ROWS ONLY`;

export const h2TablesQuery = `
  SELECT t.table_schema, t.table_name FROM information_schema.tables t WHERE t.table_type = 'BASE TABLE' AND ${ownSchemas} ORDER BY 1, 2`;

/**
 * Which database it is: by the file that holds it, as the server names it. H2 gives a database no id of its own, and no history: a backup that is put back into
 * the same place is taken for the same (docs/h2.md).
 */
export async function readH2Identity(query: TextQuery): Promise<ServerIdentity> {
  const [[path, database, role, readOnly] = []] = await query('SELECT DATABASE_PATH(), DATABASE(), CURRENT_USER, READONLY()');
  return {
    systemIdentifier: path ?? `mem:${database ?? ''}`,
    timeline: '1',
    inRecovery: false,
    database: database ?? '',
    role: role ?? '',
    log: null,
    nextXid: null,
    readOnly: readOnly === 't',
  };
}
