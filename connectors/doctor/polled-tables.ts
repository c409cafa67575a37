import { formatTableId, parseTableId, type TableId } from '#change-events/index.ts';
import type { PollerTableConfig } from '#pipeline/index.ts';

/** A table as the poller is to read it; the same rules as the poller's own, which this folder may not import. */
export type PolledTable = {
  readonly id: TableId;
  readonly mode: PollerTableConfig['mode'];
  /** A SELECT stands in place of the table. */
  readonly isQuery: boolean;
  /** In order of precedence; empty in a mode without. */
  readonly timestampColumns: readonly string[];
  /** Null in a mode without. */
  readonly incrementingColumn: string | null;
  readonly key: readonly string[] | undefined;
  readonly timeZone: string | undefined;
  readonly idsAscend: boolean;
  readonly includeColumns: readonly string[] | undefined;
  readonly excludeColumns: readonly string[];
};

/** `poller.tables` with its patterns: each entry for the names it takes out of `names`, or, without a match, for its own text. */
export function polledTables(configured: readonly PollerTableConfig[], names: readonly TableId[]): readonly PolledTable[] {
  const listed = new Set(configured.map(({ table }) => table).filter((table) => !isPattern(table)));
  return configured.flatMap((config) => {
    if (!isPattern(config.table)) return [polledTable(config, parseTableId(config.table))];
    const matching = names.filter((id) => {
      const name = formatTableId(id);
      return matches(config.table, name) && !listed.has(name) && !(config.exclude ?? []).some((pattern) => matches(pattern, name));
    });
    return (matching.length === 0 ? [parseTableId(config.table)] : matching).map((id) => polledTable(config, id));
  });
}

/** Whether `poller.tables` holds a pattern (`public.*`), for which the names of all tables are needed. */
export function isPattern(table: string): boolean {
  return /[*?]/.test(table);
}

function matches(pattern: string, name: string): boolean {
  const text = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '[^.]*')
    .replaceAll('?', '[^.]');
  return new RegExp(`^${text}$`).test(name);
}

function polledTable(config: PollerTableConfig, id: TableId): PolledTable {
  const { mode, timestampColumn, incrementingColumn } = config;
  const usesTime = mode === 'timestamp' || mode === 'timestamp+incrementing';
  const usesId = mode === 'incrementing' || mode === 'timestamp+incrementing';
  return {
    id,
    mode,
    isQuery: config.query !== undefined,
    timestampColumns: usesTime ? [timestampColumn].flat() : [],
    incrementingColumn: usesId ? incrementingColumn : null,
    key: config.key,
    timeZone: config.timeZone,
    idsAscend: config.idsAscend,
    includeColumns: config.includeColumns,
    excludeColumns: config.excludeColumns ?? [],
  };
}

/** What the rules below ask of a table, whatever its database. */
type Indexed = {
  readonly indexes: readonly {
    readonly columns: readonly (string | null)[];
    readonly unique: boolean;
    readonly primary: boolean;
    readonly partial: boolean;
    readonly valid: boolean;
  }[];
};

/** The event key: as declared, or the primary key, or the incrementing column. */
export function keyColumns({ indexes }: Indexed, { key, incrementingColumn }: PolledTable): readonly string[] {
  const primary = indexes.find((index) => index.primary)?.columns.filter((name) => name !== null);
  return key ?? primary ?? (incrementingColumn === null ? [] : [incrementingColumn]);
}

/** Columns by which pages are ordered after the timestamp; with it they must name one row. */
export function tieBreakers(table: Indexed, polled: PolledTable): readonly string[] {
  const named = polled.incrementingColumn === null ? [] : [polled.incrementingColumn];
  return isUnique(table, named) ? named : [...new Set([...named, ...keyColumns(table, polled)])];
}

/** Whether a unique index over all rows lies within `columns`. */
export function isUnique({ indexes }: Indexed, columns: readonly string[]): boolean {
  return indexes.some(
    (index) => index.unique && index.valid && !index.partial && index.columns.every((name) => name !== null && columns.includes(name)),
  );
}

/** Names of the columns that are read. */
export function readColumns(
  table: Indexed & { readonly columns: readonly { readonly name: string }[] },
  polled: PolledTable,
): readonly string[] {
  const { includeColumns, excludeColumns, timestampColumns } = polled;
  const published = (name: string): boolean =>
    includeColumns === undefined ? !excludeColumns.includes(name) : includeColumns.includes(name);
  const needed = new Set([...keyColumns(table, polled), ...timestampColumns, ...tieBreakers(table, polled)]);
  return table.columns.map(({ name }) => name).filter((name) => published(name) || needed.has(name));
}
