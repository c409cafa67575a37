import { tieBreakers, timestampColumns, type PollerTableConfig } from '#pipeline/index.ts';
import { isTable, type CatalogTable } from '../table/catalog-table.ts';
import type { Words } from '../words.ts';

/** That no index orders a table as its pages do, so that every page sorts the table. */
export type MissingIndex = { readonly columns: readonly string[]; readonly remedy: string };

/**
 * Null where an index serves, or where none is looked at: views, queries, mode bulk, and several timestamps, whose index is on an expression. Pure.
 */
export function missingIndex(table: CatalogTable, config: PollerTableConfig, words: Words): MissingIndex | null {
  const times = timestampColumns(config);
  const columns = [...new Set([...times, ...tieBreakers(table, config)])];
  if (config.mode === 'bulk' || !isTable(table) || times.length > 1 || columns.length === 0) return null;
  const found = columns.map((name) => table.columns.find((column) => column.name === name));
  if (found.includes(undefined) || isOrdered(table, columns)) return null;
  const long = found.filter((column) => column !== undefined && isLong(table, column, words)).map((column) => column?.name ?? '');
  if (long.length > 0) {
    const remedy = `Use mode bulk or the log-based strategy, or leave it as it is: an index on ${long.join(', ')} could refuse a long value, and the INSERT of it would fail.`;
    return { columns, remedy };
  }
  return { columns, remedy: words.createIndex(table.id, columns, table.kind === 'p' ? (table.leaves ?? []) : null).join('\n') };
}

function isOrdered({ indexes }: CatalogTable, columns: readonly string[]): boolean {
  return indexes.some((index) => columns.every((name, at) => index[at] === name));
}

/** What an index has already fits into one. */
function isLong({ indexes }: CatalogTable, { name, type }: CatalogTable['columns'][number], { longTypes }: Words): boolean {
  return longTypes.includes(type.name) && !indexes.some((index) => index.includes(name));
}
