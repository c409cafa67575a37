import type { LogImage } from '../postgres/facts/log-image.ts';

/** What events of MariaDB's log have of a row. Its binlog has whole rows (binlog_row_image=FULL); of a `time` that is no time of the day Debezium makes null. */
export async function mariadbLogImage(
  query: (text: string, values: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>,
  { schema, table }: { readonly schema: string; readonly table: string },
): Promise<LogImage> {
  const columns = await query(
    "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND LOWER(DATA_TYPE) = 'time'",
    [schema, table],
  );
  return { before: 'row', absent: new Set(), nullInstead: new Set(columns.map(([name]) => name ?? '')), uncertain: new Set(), apart: [] };
}
