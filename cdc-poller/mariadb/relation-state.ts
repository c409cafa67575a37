/**
 * Columns and key of a table, hashed: one scalar, to be asked in the statement that reads a page. Schema and table are SQL, each twice (places for
 * values: schema, table, schema, table). A trailing semicolon is in no column's description. A column tells only that it is of the key, not where in it.
 */
export function columnsHashSql(schema: string, table: string): string {
  return `(SELECT MD5(CONCAT(
      GROUP_CONCAT(CONCAT_WS(' ', c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, c.COLUMN_KEY) ORDER BY c.ORDINAL_POSITION SEPARATOR ';'), ';;',
      COALESCE((SELECT GROUP_CONCAT(k.COLUMN_NAME ORDER BY k.SEQ_IN_INDEX SEPARATOR ';')
        FROM information_schema.STATISTICS k WHERE k.TABLE_SCHEMA = ${schema} AND k.TABLE_NAME = ${table} AND k.INDEX_NAME = 'PRIMARY'), '')))
    FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = ${schema} AND c.TABLE_NAME = ${table})`;
}
