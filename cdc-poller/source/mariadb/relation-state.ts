/**
 * Columns and key of a table, hashed: one scalar, to be asked in the statement that reads a page. Schema and table are SQL. A trailing semicolon
 * is in no column's description.
 */
export function columnsHashSql(schema: string, table: string): string {
  return `(SELECT MD5(GROUP_CONCAT(CONCAT_WS(' ', c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, c.COLUMN_KEY) ORDER BY c.ORDINAL_POSITION SEPARATOR ';'))
    FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = ${schema} AND c.TABLE_NAME = ${table})`;
}
