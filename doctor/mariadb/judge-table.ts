import { mariadbAccount, mariadbName, mariadbTable } from '#pipeline/index.ts';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { mariadbFinding, type Finding, type Strategy } from '../finding.ts';
import type { Viewer } from '../postgres/probe/session.ts';
import type { MariadbFound, MariadbTable } from './probe-table.ts';

/**
 * Is there such a table, may the account read what it needs of it (`columns`; undefined: all), and what in it is published as something
 * else? `setting` is where the table is named. Pure.
 */
export function judgeTable(
  table: MariadbTable,
  { strategy, role }: Viewer,
  account: string,
  setting: string,
  columns?: readonly string[],
): readonly Finding[] {
  const { id } = table;
  const name = formatTableId(id);
  const subject = { kind: 'table', name, table: name } as const;
  if (table.state === 'missing') {
    const hint = table.similar.length > 0 ? ` Was ${table.similar.join(' or ')} meant?` : '';
    return [mariadbFinding('TABLE_UNKNOWN', strategy, subject, { hint, setting })];
  }
  const missing = (sqlColumns: string): Finding =>
    mariadbFinding('SELECT_MISSING', strategy, subject, {
      role,
      sqlColumns,
      sqlTable: mariadbTable(id),
      sqlAccount: mariadbAccount(account),
    });
  if (table.state === 'denied') return [missing('')];
  const { found } = table;
  const findings: Finding[] = [];
  if (strategy === 'log' && found.kind === 'view') {
    return [mariadbFinding('TABLE_KIND', strategy, subject, { kind: 'a view', setting })];
  }
  const needed = found.columns.filter((column) => columns === undefined || columns.includes(column.name));
  const readsAll = needed.every(({ rights }) => rights.includes('select'));
  // Of a column without any right nothing is seen, so that only the refused SELECT * shows it.
  if (!readsAll || (columns === undefined && !table.readable)) {
    findings.push(missing(columns === undefined ? '' : ` (${needed.map((column) => mariadbName(column.name)).join(', ')})`));
  }
  return [...findings, ...judgeZeroDates(id, found, strategy, columns)];
}

/** Dates that are none, in the columns that are read (undefined: all). Pure. */
export function judgeZeroDates(
  id: TableId,
  { columns: all, zeroDates }: MariadbFound,
  strategy: Strategy,
  columns?: readonly string[],
): readonly Finding[] {
  const name = formatTableId(id);
  const findings: Finding[] = [];
  for (const column of all.filter((one) => columns === undefined || columns.includes(one.name))) {
    const isPreset = /^'?0000-00-00/.test(column.default ?? '');
    const isMet = zeroDates.includes(column.name);
    if (!isPreset && !isMet) continue;
    const detail = isMet ? 'such as 0000-00-00, among its first rows' : `its default is ${column.default ?? ''}`;
    const particulars = { detail, sqlTable: mariadbTable(id), sqlColumn: mariadbName(column.name) };
    findings.push(mariadbFinding('ZERO_DATES', strategy, { kind: 'column', name: `${name}.${column.name}`, table: name }, particulars));
  }
  return findings;
}

/** What the connector of Debezium cannot do with a captured table. Pure. */
export function judgeCapturedTable({ id, ...table }: MariadbTable): readonly Finding[] {
  if (table.state !== 'found' || table.found.kind === 'view') return [];
  const name = formatTableId(id);
  const findings: Finding[] = [];
  if (table.found.indexes.every(({ primary }) => !primary)) {
    findings.push(mariadbFinding('TABLE_KEYLESS', 'log', { kind: 'table', name, table: name }, { sqlTable: mariadbTable(id) }));
  }
  for (const column of table.found.columns) {
    if (!/^inet[46]$/.test(column.dataType)) continue;
    const particulars = { type: column.dataType, sqlTable: mariadbTable(id), sqlColumn: mariadbName(column.name) };
    findings.push(mariadbFinding('COLUMN_UNREADABLE', 'log', { kind: 'column', name: `${name}.${column.name}`, table: name }, particulars));
  }
  return findings;
}
