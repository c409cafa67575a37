import { formatTableId, type TableId } from '#change-events/index.ts';
import type { ConnectorConfig } from './config-file.ts';

type OfColumn = (table: TableId, column: string) => boolean;

/**
 * Whether a connector leaves a column out of its events: the patterns of column.exclude.list are regular expressions over schema.table.column, without regard to case. An
 * expression of Java's own is not judged.
 */
export function leavesOut(config: ConnectorConfig): OfColumn {
  return matching(config['column.exclude.list'] ?? '');
}

/** Whether a connector has the column in its events: {@link leavesOut}, or what column.include.list does not name. */
export function takesIn(config: ConnectorConfig): OfColumn {
  const [left, list] = [leavesOut(config), config['column.include.list']];
  const included = list === undefined || list.trim() === '' ? () => true : matching(list);
  return (table, column) => !left(table, column) && included(table, column);
}

/** Whether a connector has something else in place of the column's text (column.mask.…, column.truncate.…). */
export function masksText(config: ConnectorConfig): OfColumn {
  const masks = Object.entries(config).flatMap(([setting, list]) => (/^column\.(?:mask|truncate)\./.test(setting) ? [matching(list)] : []));
  return (table, column) => masks.some((isMasked) => isMasked(table, column));
}

function matching(list: string): OfColumn {
  const patterns = listed(list).flatMap((text) => compiled(text) ?? []);
  return (table, column) => patterns.some((pattern) => pattern.test(`${formatTableId(table)}.${column}`));
}

/** The key columns that message.key.columns gives a table: `schema.table:a,b;…`, the names of tables as regular expressions. Null: it gives none. */
export function declaredKey(config: ConnectorConfig): (table: TableId) => readonly string[] | null {
  const entries = (config['message.key.columns'] ?? '').split(';').flatMap((entry) => {
    const at = entry.lastIndexOf(':');
    const pattern = at < 0 ? null : compiled(entry.slice(0, at));
    return pattern === null
      ? []
      : [
          {
            pattern,
            columns: entry
              .slice(at + 1)
              .split(',')
              .map((name) => name.trim()),
          },
        ];
  });
  return (table) => entries.find(({ pattern }) => pattern.test(`${table.schema}.${table.table}`))?.columns ?? null;
}

function listed(list: string): readonly string[] {
  return list.split(/(?<!\\),/).filter((text) => text.trim() !== '');
}

function compiled(text: string): RegExp | null {
  // Java takes a backslash before any sign; here it may come before syntax only.
  const source = text
    .trim()
    .replaceAll(/\\([^])/gu, (escape, sign: string) => (/[\p{L}\p{N}^$\\.*+?()[\]{}|/]/u.test(sign) ? escape : codeOf(sign)));
  try {
    return new RegExp(`^(?:${source})$`, 'iu');
  } catch {
    return null;
  }
}

function codeOf(sign: string): string {
  return `\\u{${sign.codePointAt(0)?.toString(16) ?? ''}}`;
}
