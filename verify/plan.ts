import type { KnownColumn } from '#cdc-poller/rows.ts';
import { formatTableId, type TableId } from '#change-events/index.ts';
import type { ConnectorFile } from '#connectors/index.ts';
import {
  CdcError,
  isTablePattern,
  matchesTable,
  publishedColumns,
  type ErrorCode,
  type PipelineConfig,
  type PollerTableConfig,
} from '#pipeline/index.ts';

/** Which columns of which tables are compared, and what is to be expected of whom. Pure. */

export type Problem = { readonly code: ErrorCode; readonly message: string; readonly remedy: string };

export type NotCompared = { readonly column: string; readonly why: string };

export type Strategy = 'log' | 'query' | 'sweep' | 'unknown';

/** Whose events a model takes: model and strategy belong together by the prefix of the topics. */
export function strategyOf({ poller, connect, comparison }: PipelineConfig, topicPrefix: string): Strategy {
  if (topicPrefix === connect?.topicPrefix) return 'log';
  if (topicPrefix === poller?.topicPrefix) return 'query';
  return topicPrefix === comparison?.sweep?.topicPrefix ? 'sweep' : 'unknown';
}

/** The poller's settings of a table: those by its name, else by a pattern. */
export function polledAs({ poller }: PipelineConfig, table: TableId): PollerTableConfig | undefined {
  const id = formatTableId(table);
  const tables = poller?.tables ?? [];
  return tables.find((entry) => entry.table === id) ?? tables.find((entry) => isTablePattern(entry.table) && matchesTable(entry, id));
}

/** How long a deleted row may stay in the mirror, in ms, because its sweep has not come to it yet; null for no limit: nobody looks for deletes. */
export function deleteDelay(config: PipelineConfig, table: TableId, strategy: Strategy): number | null {
  if (strategy === 'log') return 0;
  const sweep = strategy === 'sweep' ? config.comparison?.sweep?.sweep : polledAs(config, table)?.sweep;
  return sweep === undefined ? null : 2 * sweep.intervalMs;
}

export type ColumnRules = {
  readonly table: TableId;
  readonly strategy: Strategy;
  /** Of the source: those that can be read, and those that cannot, by why. */
  readonly source: readonly KnownColumn[];
  readonly left: readonly NotCompared[];
  readonly mirror: readonly KnownColumn[];
  readonly key: readonly string[];
  /** As `schema.table.column`. */
  readonly ignored: readonly string[];
  readonly polled: PollerTableConfig | undefined;
  readonly connectors: readonly Pick<ConnectorFile, 'config'>[];
};

/** The columns that are compared, besides the key's; and of the others why not. */
export function comparedColumns(rules: ColumnRules): {
  readonly compared: readonly string[];
  readonly notCompared: readonly NotCompared[];
} {
  const { source, mirror, key, left } = rules;
  const notCompared: NotCompared[] = [...left];
  const compared: string[] = [];
  const mirrored = new Set(mirror.map(({ name }) => name));
  const names = source.map(({ name }) => name);
  for (const name of names) {
    if (key.includes(name)) continue;
    const why = whyNot(rules, names, name) ?? (mirrored.has(name) ? null : 'the mirror has no such column (yet)');
    if (why === null) compared.push(name);
    else notCompared.push({ column: name, why });
  }
  const unreadable = new Set(left.map(({ column }) => column));
  for (const name of mirrored)
    if (!names.includes(name) && !unreadable.has(name)) notCompared.push({ column: name, why: 'the source has no such column (any more)' });
  return { compared, notCompared };
}

function whyNot(rules: ColumnRules, all: readonly string[], column: string): string | null {
  const { table, ignored, strategy, polled, connectors } = rules;
  const place = `${formatTableId(table)}.${column}`;
  if (ignored.includes(place)) return 'ignoreColumns of the model';
  if (strategy === 'query' || strategy === 'sweep') {
    if (polled?.mask !== undefined && Object.hasOwn(polled.mask, column)) return 'masked by the poller';
    if (polled !== undefined && !publishedColumns(all, polled).includes(column)) return 'left out by the poller';
  }
  if (strategy === 'log') return connectors.map(({ config }) => leftOutByConnector(config, place)).find((why) => why !== null) ?? null;
  return null;
}

/** Debezium's lists are regular expressions of the whole name, whatever its case. */
function leftOutByConnector(config: Readonly<Record<string, string>>, place: string): string | null {
  const isIn = (list: string): boolean =>
    list
      .split(/(?<!\\),/)
      .map((pattern) => pattern.trim())
      .some((pattern) => pattern !== '' && matchesWhole(pattern, place));
  for (const [setting, list] of Object.entries(config)) {
    if (setting === 'column.exclude.list' && isIn(list)) return 'column.exclude.list of the connector';
    if (setting === 'column.include.list' && !isIn(list)) return 'not in column.include.list of the connector';
    if (/^column\.(?:mask|truncate)\./.test(setting) && isIn(list)) return `${setting} of the connector`;
  }
  return null;
}

/** A pattern that only Java knows matches nothing here: its column is compared. */
function matchesWhole(pattern: string, name: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`, 'i').test(name);
  } catch {
    return false;
  }
}

/** @throws CdcError VERIFY_NO_MIRROR for a table that none of the models mirrors, or when they mirror none at all */
export function requireMirrored(asked: readonly string[], mirrored: ReadonlySet<string>, models: readonly string[]): void {
  if (mirrored.size === 0) throw new CdcError('VERIFY_NO_MIRROR', `${models.join(', ')} has no mirror of any table`);
  for (const table of asked) {
    if (mirrored.has(table)) continue;
    const others = [...mirrored].toSorted().join(', ');
    throw new CdcError(
      'VERIFY_NO_MIRROR',
      `no mirror of ${table} is in ${models.join(', ')}; there are mirrors of ${others === '' ? 'no table' : others}`,
    );
  }
}
