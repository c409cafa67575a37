import { createHash } from 'node:crypto';
import { mariadbTable } from '#pipeline/index.ts';
import type { TextQuery } from '../source/dialect.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';

/** Database and name of a table. */
type Id = { readonly schema: string; readonly table: string };

/**
 * Columns and key of a table, hashed. Its definition costs the server least: information_schema needs temporary tables on disk, two for each question.
 * A view's definition lacks the types of its columns, and a role with rights on single columns may not see a table's: then information_schema is asked.
 * The first letter says which of both it was.
 */
export async function readColumnsHash(query: TextQuery, id: Id, isView: boolean): Promise<string> {
  if (!isView) {
    try {
      return await hashOfDefinition(query, id);
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }
  return hashOfInformationSchema(query, id);
}

/**
 * The same of a table that {@link readColumnsHash} was asked about before, in the same way.
 *
 * @throws TableReshaped when the role may not ask in that way any more
 */
export async function readColumnsHashAgain(query: TextQuery, id: Id, before: string): Promise<string> {
  if (!before.startsWith('d')) return hashOfInformationSchema(query, id);
  try {
    return await hashOfDefinition(query, id);
  } catch (error) {
    throw isRefused(error) ? new TableReshaped() : error;
  }
}

async function hashOfDefinition(query: TextQuery, id: Id): Promise<string> {
  const [[, definition] = []] = await query(`SHOW CREATE TABLE ${mariadbTable(id)}`);
  return `d${createHash('md5')
    .update(columnsOf(definition ?? ''))
    .digest('hex')}`;
}

/** Columns, keys and constraints. The options behind them change by themselves: the next AUTO_INCREMENT, partitions by time. */
function columnsOf(definition: string): string {
  return definition.slice(0, definition.lastIndexOf('\n)'));
}

/** A column says only that it is part of the key, not where in it. A semicolon at the end is in no column's description. */
async function hashOfInformationSchema(query: TextQuery, { schema, table }: Id): Promise<string> {
  const [[hash] = []] = await query(
    `SELECT MD5(CONCAT(
      GROUP_CONCAT(CONCAT_WS(' ', c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, c.COLUMN_KEY) ORDER BY c.ORDINAL_POSITION SEPARATOR ';'), ';;',
      COALESCE((SELECT GROUP_CONCAT(k.COLUMN_NAME ORDER BY k.SEQ_IN_INDEX SEPARATOR ';')
        FROM information_schema.STATISTICS k WHERE k.TABLE_SCHEMA = ? AND k.TABLE_NAME = ? AND k.INDEX_NAME = 'PRIMARY'), '')))
    FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = ? AND c.TABLE_NAME = ?`,
    [schema, table, schema, table],
  );
  return `i${hash ?? ''}`;
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ER_TABLEACCESS_DENIED_ERROR';
}
