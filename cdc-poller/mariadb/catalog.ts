import * as z from 'zod';
import { parseTableId } from '#change-events/index.ts';
import { CdcError, describeError, mariadbTable } from '#pipeline/index.ts';
import type { CatalogRequest, CatalogSource, ServerIdentity, TextQuery } from '../source/dialect.ts';
import { missingTable, type CatalogColumn, type CatalogSequence, type CatalogTable } from '../source/table/catalog-table.ts';
import { readColumnsHash } from './relation-state.ts';
import { collationOf } from './values/key-types.ts';
import { readInnodbLog, serverLog } from './server-log.ts';
import { castOf, columnTypeOf, isKnown } from './values/types.ts';

/**
 * Reads what information_schema says about a table or view, or the server of a configured query. It shows nothing of what the user has no right
 * to: then the table itself is asked, and its refusal says whether it is there.
 *
 * @throws CdcError QUERY_INVALID, or SELECT_MISSING for a configured query
 */
export async function readMariadbCatalog(source: CatalogSource, config: CatalogRequest): Promise<CatalogTable> {
  const id = parseTableId(config.table);
  const nothing = missingTable(id);
  if (config.query !== undefined) {
    return { ...nothing, exists: true, kind: 'q', readable: true, columns: await queryColumns(source, config, config.query) };
  }
  const { query } = source;
  const where = [id.schema, id.table];
  const refusal = await refusalOf(source, id.schema, id.table);
  if (refusal === 'missing') return { ...nothing, similar: (await query(similarQuery, where)).map(([name]) => name ?? '') };
  const [[kind, next] = []] = await query(
    `SELECT t.TABLE_TYPE, t.AUTO_INCREMENT FROM information_schema.TABLES t WHERE t.TABLE_SCHEMA = ? AND t.TABLE_NAME = ?`,
    where,
  );
  const isView = !tableTypes.includes(kind ?? '');
  // First: columns that are added afterwards make the first page another one than the hash says.
  const columnsHash = await readColumnsHash(query, id, isView);
  const [columns, indexes] = [await query(columnsQuery, where), await query(indexesQuery, where)];
  // In current rows it is always the end of time, so it does not distinguish them: only past versions have values of their own.
  const ends = new Set(columns.filter((column) => column[6] === 'row end').map(([name]) => name));
  const named = indexes.map(([name, unique, list]) => ({
    name: name ?? '',
    unique: unique === '1',
    names: z
      .array(z.string())
      .parse(JSON.parse(list ?? '[]'))
      .filter((column) => !ends.has(column)),
  }));
  const incrementing = columns.find(([name]) => name === config.incrementingColumn);
  return {
    ...nothing,
    exists: true,
    kind: isView ? 'v' : 'b',
    readable: refusal === null,
    columns: columns.map(columnOf),
    primaryKey: named.find(({ name }) => name === 'PRIMARY')?.names ?? [],
    uniqueKeys: named.filter(({ unique }) => unique).map(({ names }) => names),
    indexes: named.map(({ names }) => names),
    sequence: incrementing?.[5]?.includes('auto_increment') === true ? { ...autoIncrement, next: next ? BigInt(next) : null } : null,
    // A view's columns are in information_schema too, but not what it is made of.
    relation: { oid: `${id.schema}.${id.table}`, file: '', columnsHash, keyIndex: '' },
  };
}

/** What AUTO_INCREMENT promises: upwards, one by one. */
const autoIncrement: CatalogSequence = { oid: '', name: 'AUTO_INCREMENT', increment: 1n, cache: 1n, cycles: false, readable: false };

/** What information_schema calls a table. One WITH SYSTEM VERSIONING gives only the current rows, unless it is asked for others. */
const tableTypes: readonly string[] = ['BASE TABLE', 'SYSTEM VERSIONED'];

/** `missing`: also where the user has no right on anything of that name, and the server does not tell the one from the other. */
async function refusalOf({ query }: CatalogSource, schema: string, table: string): Promise<'missing' | 'denied' | null> {
  try {
    await query(`SELECT 1 FROM ${mariadbTable({ schema, table })} LIMIT 0`);
    return null;
  } catch (error) {
    if (hasCode(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR')) return 'denied';
    if (hasCode(error, 'ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR')) return 'missing';
    throw error;
  }
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

async function queryColumns(source: CatalogSource, { table }: CatalogRequest, query: string): Promise<readonly CatalogColumn[]> {
  try {
    const columns = await source.describe(`SELECT * FROM (${query}\n) AS source LIMIT 0`);
    return columns.map(({ name, typeOid, modifier }) => {
      const [dataType = ''] = typeOid.split(' ');
      return {
        name,
        type: { ...columnTypeOf({ dataType, columnType: '' }), modifier },
        sqlType: castOf({ dataType, columnType: typeOid }),
        notNull: false,
        readable: true,
        unknownPart: isKnown(dataType) ? null : dataType,
        // The result's collation is the connection's.
        collation: 'loose' as const,
      };
    });
  } catch (error) {
    const state = error instanceof Error && 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : '';
    const problem = `the query of ${table} was refused: ${describeError(error)}`;
    if (hasCode(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR')) {
      throw new CdcError('SELECT_MISSING', problem, { cause: error });
    }
    // Class 42: syntax or a name; 21, 22: what no query may do.
    if (/^(?:42|21|22)/.test(state)) throw new CdcError('QUERY_INVALID', problem, { cause: error });
    throw error;
  }
}

function columnOf([name, dataType, columnType, nullable, privileges, , , collation]: readonly (string | null)[]): CatalogColumn {
  const declared = { dataType: dataType ?? '', columnType: columnType ?? '' };
  return {
    name: name ?? '',
    type: columnTypeOf(declared),
    sqlType: castOf(declared),
    notNull: nullable === 'NO',
    readable: (privileges ?? '').split(',').includes('select'),
    unknownPart: isKnown(dataType ?? '') ? null : (dataType ?? ''),
    collation: collationOf(collation),
  };
}

const columnsQuery = `
  SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE), IS_NULLABLE, LOWER(PRIVILEGES), LOWER(EXTRA), LOWER(GENERATION_EXPRESSION), COLLATION_NAME
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;

/** A prefix of a column is not the column: such an index neither orders rows nor distinguishes them. */
const indexesQuery = `
  SELECT INDEX_NAME, MIN(NON_UNIQUE) = 0, CONCAT('[', GROUP_CONCAT(JSON_QUOTE(COLUMN_NAME) ORDER BY SEQ_IN_INDEX SEPARATOR ','), ']')
  FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?
  GROUP BY INDEX_NAME HAVING SUM(SUB_PART IS NOT NULL) = 0 AND SUM(INDEX_TYPE <> 'BTREE') = 0`;

const similarQuery = `
  SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES
  WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') AND (TABLE_SCHEMA = ? OR TABLE_NAME = ?)
  ORDER BY 1 LIMIT 3`;

export const mariadbTablesQuery = `
  SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
  WHERE TABLE_TYPE IN ('${tableTypes.join("', '")}') AND TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
  ORDER BY 1, 2`;

/**
 * Who the server is. MySQL has an id of its data folder (server_uuid); MariaDB one of its machine and port (server_uid, since 10.6.16); else host, port and
 * data folder identify it. A backup that is put back into the same server looks the same: its log, which is then further back, shows it (adopt.ts).
 */
export async function readMariadbIdentity(query: TextQuery): Promise<ServerIdentity> {
  const rows = await query(
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'server_uid', 'server_id', 'hostname', 'port', 'datadir', 'read_only', 'gtid_binlog_pos')",
  );
  const variables = new Map(rows.map(([name, value]) => [name ?? '', value ?? '']));
  const value = (name: string): string => variables.get(name) ?? '';
  const [[database, role] = []] = await query('SELECT DATABASE(), CURRENT_USER()');
  return {
    systemIdentifier: value('server_uuid') || value('server_uid') || `${value('hostname')}:${value('port')}${value('datadir')}`,
    timeline: value('server_id'),
    inRecovery: false,
    database: database ?? '',
    role: role ?? '',
    log: serverLog(value('gtid_binlog_pos'), await readInnodbLog(query)),
    nextXid: null,
    readOnly: !['', 'OFF', '0'].includes(value('read_only')),
  };
}
