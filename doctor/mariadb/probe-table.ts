import * as z from 'zod';
import type { TableId } from '#change-events/index.ts';
import { isRefusal, type MariadbQuery } from '#connectors/mariadb/mariadb-source.ts';
import { mariadbName, mariadbTable } from '#pipeline/index.ts';

export type MariadbColumn = {
  readonly name: string;
  /** `bigint`, `timestamp` */
  readonly dataType: string;
  /** `bigint(20) unsigned`, `timestamp(6)` */
  readonly columnType: string;
  readonly notNull: boolean;
  /** `select`, `insert`, `update`: what the account may do with it, by a right on the table or on the column. */
  readonly rights: readonly string[];
  readonly default: string | null;
  /** `auto_increment`, `on update current_timestamp(6)` */
  readonly extra: string;
};

export type MariadbFound = {
  readonly kind: 'table' | 'view';
  readonly columns: readonly MariadbColumn[];
  /** In the shape in which {@link keyColumns} and its like take those of Postgres; an index with prefixes of columns is `partial`. */
  readonly indexes: readonly {
    readonly columns: readonly string[];
    readonly unique: boolean;
    readonly primary: boolean;
    readonly partial: boolean;
    readonly valid: true;
  }[];
  /** Bodies of the triggers that run before an UPDATE; empty too where the account may not see them. */
  readonly beforeUpdate: readonly { readonly name: string; readonly body: string }[];
  /** Columns with a date among the first rows that is none. */
  readonly zeroDates: readonly string[];
};

/** `denied`: it may exist or not, the server does not say. */
export type MariadbTable = { readonly id: TableId } & (
  | { readonly state: 'found'; readonly found: MariadbFound; readonly readable: boolean }
  | { readonly state: 'missing'; readonly similar: readonly string[] }
  | { readonly state: 'denied' }
);

/** Rows that are looked through for dates that are none: no finding says that there is none beyond. */
const sampledRows = 10_000;

export async function readMariadbTable(query: MariadbQuery, id: TableId): Promise<MariadbTable> {
  const where = [id.schema, id.table];
  const refusal = await refusalOf(query, `SELECT * FROM ${mariadbTable(id)} LIMIT 0`);
  if (refusal === 'missing') return { id, state: 'missing', similar: (await query(similarQuery, where)).map(([name]) => name ?? '') };
  const columns = (await query(columnsQuery, where)).map(columnOf);
  if (columns.length === 0) return { id, state: 'denied' };
  const [[type] = []] = await query('SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?', where);
  const indexes = (await query(indexesQuery, where)).map(([name, unique, partial, list]) => ({
    columns: z.array(z.string()).parse(JSON.parse(list ?? '[]')),
    unique: unique === '1',
    primary: name === 'PRIMARY',
    partial: partial === '1',
    valid: true as const,
  }));
  const beforeUpdate = (await query(triggersQuery, where)).map(([name, body]) => ({ name: name ?? '', body: body ?? '' }));
  const dates = columns
    .filter(({ dataType, rights }) => rights.includes('select') && /^(?:date|datetime|timestamp)$/.test(dataType))
    .map(({ name }) => name);
  const zeroDates = type === 'VIEW' ? [] : await readZeroDates(query, id, dates);
  const found: MariadbFound = { kind: type === 'VIEW' ? 'view' : 'table', columns, indexes, beforeUpdate, zeroDates };
  return { id, state: 'found', found, readable: refusal === null };
}

/** Database and name of every table that patterns may mean. */
export async function readMariadbTableNames(query: MariadbQuery): Promise<readonly TableId[]> {
  return (await query(namesQuery)).map(([schema, table]) => ({ schema: schema ?? '', table: table ?? '' }));
}

/** Runs it for the server's refusal alone. */
async function refusalOf(query: MariadbQuery, sql: string): Promise<'missing' | 'denied' | null> {
  try {
    await query(sql);
    return null;
  } catch (error) {
    if (isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR')) return 'denied';
    if (isRefusal(error, 'ER_NO_SUCH_TABLE', 'ER_BAD_DB_ERROR')) return 'missing';
    throw error;
  }
}

async function readZeroDates(query: MariadbQuery, id: TableId, columns: readonly string[]): Promise<readonly string[]> {
  if (columns.length === 0) return [];
  const sums = columns.map((name) => `COALESCE(SUM(MONTH(${mariadbName(name)}) = 0 OR DAYOFMONTH(${mariadbName(name)}) = 0), 0) > 0`);
  const [row = []] = await query(
    `SELECT ${sums.join(', ')} FROM (SELECT ${columns.map(mariadbName).join(', ')} FROM ${mariadbTable(id)} LIMIT ${sampledRows}) sample`,
  );
  return columns.filter((_, at) => row[at] === '1');
}

function columnOf([name, dataType, columnType, nullable, privileges, preset, extra]: readonly (string | null)[]): MariadbColumn {
  return {
    name: name ?? '',
    dataType: dataType ?? '',
    columnType: columnType ?? '',
    notNull: nullable === 'NO',
    rights: (privileges ?? '').split(','),
    default: preset ?? null,
    extra: extra ?? '',
  };
}

const columnsQuery = `
  SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE), IS_NULLABLE, LOWER(PRIVILEGES), COLUMN_DEFAULT, LOWER(EXTRA)
  FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`;

const indexesQuery = `
  SELECT INDEX_NAME, MIN(NON_UNIQUE) = 0, SUM(SUB_PART IS NOT NULL) + SUM(INDEX_TYPE <> 'BTREE') > 0,
    CONCAT('[', GROUP_CONCAT(JSON_QUOTE(COLUMN_NAME) ORDER BY SEQ_IN_INDEX SEPARATOR ','), ']')
  FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? GROUP BY INDEX_NAME`;

const triggersQuery = `
  SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS
  WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ? AND EVENT_MANIPULATION = 'UPDATE' AND ACTION_TIMING = 'BEFORE'`;

const similarQuery = `
  SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES
  WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') AND (TABLE_SCHEMA = ? OR TABLE_NAME = ?)
  ORDER BY 1 LIMIT 3`;

const namesQuery = `
  SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
  WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
  ORDER BY 1, 2`;
