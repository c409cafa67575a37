/**
 * Columns and primary key of a table, hashed: one scalar, to be asked in the statement that reads a page. Schema and table are SQL, each twice (places for
 * values: schema, table, schema, table). Null when there is no such table.
 */
export function columnsHashSql(schema: string, table: string): string {
  return `(SELECT RAWTOHEX(HASH('SHA-256', LISTAGG(CONCAT_WS(' ', c.column_name, DATA_TYPE_SQL(c.table_schema, c.table_name, 'TABLE', c.dtd_identifier),
      c.data_type, c.is_nullable), ';') WITHIN GROUP (ORDER BY c.ordinal_position) || ';;' ||
      COALESCE((SELECT LISTAGG(k.column_name, ';') WITHIN GROUP (ORDER BY k.ordinal_position)
        FROM information_schema.indexes i JOIN information_schema.index_columns k ON k.index_schema = i.index_schema AND k.index_name = i.index_name
        WHERE i.table_schema = ${schema} AND i.table_name = ${table} AND i.index_type_name = 'PRIMARY KEY'), '')))
    FROM information_schema.columns c WHERE c.table_schema = ${schema} AND c.table_name = ${table})`;
}
