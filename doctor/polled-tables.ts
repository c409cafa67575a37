import { formatTableId, parseTableId, type TableId } from '#change-events/index.ts';
import {
  incrementingColumn,
  isTablePattern,
  matchesTable,
  timestampColumns,
  type PollerTableConfig,
  type TableKeys,
} from '#pipeline/index.ts';

/** A table as the poller is to read it. */
export type PolledTable = {
  readonly id: TableId;
  readonly config: PollerTableConfig;
  /** A pattern that matches no table: `id` is made of the pattern's own text. */
  readonly takesNone: boolean;
  readonly mode: PollerTableConfig['mode'];
  /** A SELECT is polled in place of the table. */
  readonly isQuery: boolean;
  /** In order of precedence; empty in a mode without. */
  readonly timestampColumns: readonly string[];
  /** Null in a mode without. */
  readonly incrementingColumn: string | null;
  readonly key: readonly string[] | undefined;
  readonly timeZone: string | undefined;
  readonly idsAscend: boolean;
};

/**
 * `poller.tables` with its patterns: each name among `names` that a pattern takes, under the first pattern that does, as the poller has it;
 * a pattern that takes none is listed under its own text.
 */
export function polledTables(configured: readonly PollerTableConfig[], names: readonly TableId[]): readonly PolledTable[] {
  const taken = new Set(configured.map(({ table }) => table).filter((table) => !isTablePattern(table)));
  return configured.flatMap((config) => {
    if (!isTablePattern(config.table)) return [polledTable(config, parseTableId(config.table), false)];
    const matching = names.filter((id) => matchesTable(config, formatTableId(id)));
    if (matching.length === 0) return [polledTable(config, parseTableId(config.table), true)];
    const own = matching.filter((id) => !taken.has(formatTableId(id)));
    for (const id of own) taken.add(formatTableId(id));
    return own.map((id) => polledTable(config, id, false));
  });
}

function polledTable(config: PollerTableConfig, id: TableId, takesNone: boolean): PolledTable {
  const { mode, query, key, timeZone, idsAscend } = config;
  return {
    id,
    config,
    takesNone,
    mode,
    isQuery: query !== undefined,
    timestampColumns: timestampColumns(config),
    incrementingColumn: incrementingColumn(config),
    key,
    timeZone,
    idsAscend,
  };
}

/** A table's indexes, whatever its database. */
type Indexed = {
  readonly indexes: readonly {
    /** Null for an expression. */
    readonly columns: readonly (string | null)[];
    readonly unique: boolean;
    readonly primary: boolean;
    readonly partial: boolean;
    readonly valid: boolean;
  }[];
};

/** What indexes show of a table's keys. */
export function keysOf({ indexes }: Indexed): TableKeys {
  const plain = indexes.map(({ columns, ...index }) => ({
    ...index,
    columns: columns.filter((name) => name !== null),
    width: columns.length,
  }));
  return {
    primaryKey: plain.find(({ primary }) => primary)?.columns ?? [],
    uniqueKeys: plain
      .filter(({ unique, valid, partial, columns, width }) => unique && valid && !partial && columns.length === width)
      .map(({ columns }) => columns),
  };
}

export function namesOf({ columns }: { readonly columns: readonly { readonly name: string }[] }): readonly string[] {
  return columns.map(({ name }) => name);
}
