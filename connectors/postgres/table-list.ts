import { formatTableId, type TableId } from '#change-events/index.ts';
import { canonicalTableName, CdcError } from '#pipeline/index.ts';
import type { ConnectorConfig } from '../config-file.ts';

/**
 * How a table is named in Debezium's table.include.list, whose entries are regular expressions between commas, matched against `schema.table` as it
 * is, upper and lower case alike. An entry that means one table can be recognised: other signs than letters, digits and `_` after a backslash, or as `\x{2c}`
 * (a comma, and blanks at either end, must be), and one plain dot between the names. `(?-i)` before it makes case count.
 */

/** An entry: a table, or why it is none. */
export type ListedTable =
  | { readonly entry: string; readonly id: TableId; readonly ownCase: boolean }
  | { readonly entry: string; readonly problem: string };

export function readTableList(list: string): readonly ListedTable[] {
  return list
    .split(/(?<=(?:^|[^\\])(?:\\\\)*),/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map(readEntry);
}

/** The entry that means this table and no other, but for one whose names have their dots elsewhere. */
export function listEntry({ schema, table }: TableId): string {
  const isPlain = /^[a-z0-9_]+$/.test(schema + table);
  return `${isPlain ? '' : '(?-i)'}${escaped(schema)}.${escaped(table)}`;
}

/** A regular expression, as Java reads it, that means a text. */
export function escaped(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}_]/gu, (sign) =>
    /[!-+\--/:-@[-`{-~]/.test(sign) ? `\\${sign}` : `\\x{${sign.codePointAt(0)?.toString(16) ?? ''}}`,
  );
}

const caseCounts = '(?-i)';

function readEntry(entry: string): ListedTable {
  const ownCase = entry.startsWith(caseCounts);
  const body = ownCase ? entry.slice(caseCounts.length) : entry;
  const names = [''];
  let escapedDots = 0;
  for (const [sign, code] of body.matchAll(/\\x\{([0-9a-f]+)\}|\\?[^]/giu)) {
    if (sign === '.') names.push('');
    else if (code === undefined && /^(?:\\[\p{L}\p{N}]|\\|[*+?^$()[\]{}|])$/u.test(sign))
      return { entry, problem: `has a pattern (${entry}): name each table as schema.table` };
    else {
      if (sign === String.raw`\.`) escapedDots += 1;
      const meant = code === undefined ? sign.replace(/^\\([^])/u, '$1') : String.fromCodePoint(Number.parseInt(code, 16));
      names.push(`${names.pop() ?? ''}${meant}`);
    }
  }
  // A list of regular expressions is often written with the dot between the names escaped.
  const [schema = '', table = '', ...more] = names.length === 1 && escapedDots === 1 ? (names[0] ?? '').split('.') : names;
  if (schema === '' || table === '' || more.length > 0) {
    return { entry, problem: `has ${entry}: expected schema.table, a dot within a name written as ${String.raw`\.`}` };
  }
  return { entry, id: { schema, table }, ownCase };
}

/**
 * The tables that a connector captures, out of its table.include.list, without the heartbeat table. Debezium takes patterns there;
 * what is prepared in a source must be named, so a pattern is refused.
 *
 * @throws CdcError CONNECTOR_CONFIG_INVALID
 */
export function capturedTables(name: string, config: ConnectorConfig): readonly TableId[] {
  const tables = readTableList(config['table.include.list'] ?? '').flatMap((listed) => {
    if ('problem' in listed) throw invalid(name, listed.problem);
    return isHeartbeat(listed.id) ? [] : [listed.id];
  });
  if (tables.length === 0) throw invalid(name, 'is empty: name the tables to capture');
  return tables;
}

/** {@link capturedTables} without the table that signals are written to, which is no data. @throws CdcError CONNECTOR_CONFIG_INVALID */
export function dataTables(name: string, config: ConnectorConfig): readonly TableId[] {
  const signal = config['signal.data.collection'];
  return capturedTables(name, config).filter((id) => signal === undefined || formatTableId(id) !== canonicalTableName(signal));
}

function isHeartbeat({ schema, table }: TableId): boolean {
  return schema === 'cdc' && table === 'heartbeat';
}

function invalid(name: string, what: string): CdcError {
  return new CdcError('CONNECTOR_CONFIG_INVALID', `connector ${name}: table.include.list ${what}`);
}
