import type { PollerTableConfig } from './config/schema.ts';

/**
 * By which columns a table is polled, as `poller.tables` and the table's keys say: the rules that the poller goes by and that the doctor
 * foresees. Pure, and the same for every database.
 */

/** The keys of a table, as far as they cover all its rows. */
export type TableKeys = {
  /** In key order; empty without one. */
  readonly primaryKey: readonly string[];
  /** The columns of each unique index, that of the primary key included. */
  readonly uniqueKeys: readonly (readonly string[])[];
};

/** `timestampColumn` as a list, in order of precedence; empty in a mode without. */
export function timestampColumns({ mode, timestampColumn }: Pick<PollerTableConfig, 'mode' | 'timestampColumn'>): readonly string[] {
  if (mode === 'bulk' || mode === 'incrementing') return [];
  return typeof timestampColumn === 'string' ? [timestampColumn] : timestampColumn;
}

/** Null in a mode without. */
export function incrementingColumn({
  mode,
  incrementingColumn: name,
}: Pick<PollerTableConfig, 'mode' | 'incrementingColumn'>): string | null {
  return mode === 'incrementing' || mode === 'timestamp+incrementing' ? name : null;
}

type KeyConfig = Pick<PollerTableConfig, 'key' | 'mode' | 'incrementingColumn'>;

/** The event key: as declared, or the primary key, or what replaces it. */
export function keyColumns({ primaryKey }: TableKeys, config: KeyConfig): readonly string[] {
  if (config.key !== undefined) return config.key;
  if (primaryKey.length > 0) return primaryKey;
  const id = incrementingColumn(config);
  return id === null ? [] : [id];
}

/**
 * Columns by which pages are ordered after the timestamp. Together with it they must name one row: rows of equal order that straddle
 * a page border would be lost. What the configuration names first may not do so alone; then the key follows it.
 */
export function tieBreakers(keys: TableKeys, config: KeyConfig): readonly string[] {
  const id = incrementingColumn(config);
  const named = id === null ? [] : [id];
  return isUnique(keys, named) ? named : [...new Set([...named, ...keyColumns(keys, config)])];
}

/** Whether values of `columns` name one row. */
export function isUnique({ uniqueKeys }: TableKeys, columns: readonly string[]): boolean {
  return uniqueKeys.some((unique) => unique.every((name) => columns.includes(name)));
}

type PublishConfig = Pick<PollerTableConfig, 'includeColumns' | 'excludeColumns'>;

/** Of a table's columns, those that events have. */
export function publishedColumns(columns: readonly string[], { includeColumns, excludeColumns = [] }: PublishConfig): readonly string[] {
  return includeColumns === undefined
    ? columns.filter((name) => !excludeColumns.includes(name))
    : columns.filter((name) => includeColumns.includes(name));
}

/** Of a table's columns, those that have to be read: published ones, and those that order and key need. */
export function readColumns(
  columns: readonly string[],
  keys: TableKeys,
  config: KeyConfig & PublishConfig & Pick<PollerTableConfig, 'timestampColumn'>,
): readonly string[] {
  const needed = new Set([
    ...publishedColumns(columns, config),
    ...keyColumns(keys, config),
    ...timestampColumns(config),
    ...tieBreakers(keys, config),
  ]);
  return columns.filter((name) => needed.has(name));
}
