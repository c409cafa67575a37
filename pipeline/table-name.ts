/**
 * How a table is written: `schema.table`. A name that holds a dot, `*` or `?`, or begins with a double quote, is written in double quotes, where `""` is
 * one: `public."v1.orders"`. Each table has one such text, by which positions, reports and the command line name it. In a pattern, `*` and `?` outside of quotes
 * match any letters and one letter.
 */
export type TableName = { readonly schema: string; readonly table: string };

/** What a part of a name or pattern may be. */
const part = String.raw`(?:"(?:[^"]|"")+"|[^."][^.]*)`;
/** `schema.table`, or a pattern. */
export const tableNameForm: RegExp = new RegExp(String.raw`^${part}\.${part}$`);
const parts = new RegExp(`^(?<schema>${part})\\.(?<table>${part})$`);

export function formatTableName({ schema, table }: TableName): string {
  return `${written(schema)}.${written(table)}`;
}

/**
 * The inverse; null for what is no such text. Quotes that are not needed may be there. Of a pattern it gives the text itself.
 */
export function parseTableName(text: string): TableName | null {
  const { schema, table } = parts.exec(text)?.groups ?? {};
  return schema === undefined || table === undefined ? null : { schema: meant(schema), table: meant(table) };
}

/** The one text of a table; what is none, or a pattern, stays as it is. */
export function canonicalTableName(text: string): string {
  const name = isTablePattern(text) ? null : parseTableName(text);
  return name === null ? text : formatTableName(name);
}

/** Whether `poller.tables[].table` is a pattern (`public.*`), and not a name. */
export function isTablePattern(table: string): boolean {
  const { schema = '', table: name = '' } = parts.exec(table)?.groups ?? {};
  return [schema, name].some((one) => !one.startsWith('"') && /[*?]/.test(one));
}

/** Whether a pattern means a table. */
export function matchesTable(
  { table: pattern, exclude = [] }: { readonly table: string; readonly exclude?: readonly string[] | undefined },
  table: string,
): boolean {
  const name = parseTableName(table);
  return name !== null && matches(pattern, name) && !exclude.some((other) => matches(other, name));
}

function matches(pattern: string, name: TableName): boolean {
  const { schema, table } = parts.exec(pattern)?.groups ?? {};
  if (schema === undefined || table === undefined) return false;
  return partMatches(schema, name.schema) && partMatches(table, name.table);
}

function partMatches(pattern: string, name: string): boolean {
  if (pattern.startsWith('"') || !/[*?]/.test(pattern)) return meant(pattern) === name;
  const source = pattern
    .replaceAll(/[\\^$.|+()[\]{}]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 'su').test(name);
}

function written(name: string): string {
  return /[.*?]|^"/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}

function meant(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}
