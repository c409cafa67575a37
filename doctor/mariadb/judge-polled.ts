import { mariadbAccount, mariadbName, mariadbTable } from '#pipeline/index.ts';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import type { Judgement } from '#cdc-poller/judge.ts';
import type { PolledTable } from '../polled-tables.ts';
import { holds, type Grants } from '#connectors/mariadb/grants.ts';
import type { MariadbColumn, MariadbFound } from './probe-table.ts';

export type PolledContext = Pick<Judgement, 'missingIndex'> & {
  readonly grants: Grants;
  readonly zoneName: string;
  readonly zoneOffsetSeconds: number;
  /** This host's clock in ms. */
  readonly now: number;
};

/** What a poll of the table would miss or cost, beyond what the poller refuses and what a window misses. Pure. */
export function judgePolledTable(id: TableId, found: MariadbFound, polled: PolledTable, context: PolledContext): readonly Finding[] {
  if (found.kind === 'view') return [];
  const name = formatTableId(id);
  const findings = polled.timestampColumns.flatMap((timestamp, at) => {
    const column = columnOf(found, timestamp);
    if (column === undefined || !/^(?:timestamp|datetime)$/.test(column.dataType)) return [];
    return [...judgeZone(id, column, polled, context), ...(at === 0 ? judgeMover(id, found, column, context) : [])];
  });
  if (context.missingIndex === null) return findings;
  const { columns, remedy } = context.missingIndex;
  const particulars = { columns: columns.join(', '), createIndexStatements: remedy };
  return [...findings, mariadbFinding('COLUMN_UNINDEXED', 'query', { kind: 'table', name, table: name }, particulars)];
}

/** ON UPDATE current_timestamp is plain; of triggers, an assignment to the column; and who lacks the right TRIGGER sees none. */
function judgeMover(id: TableId, found: MariadbFound, column: MariadbColumn, { grants }: PolledContext): readonly Finding[] {
  if (column.extra.includes('on update current_timestamp')) return [];
  const { beforeUpdate } = found;
  const name = column.name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const assigned = new RegExp(String.raw`\bnew\s*\.\s*\`?${name}\`?\s*:?=`, 'i');
  if (beforeUpdate.some(({ body }) => assigned.test(body))) return [];
  const table = formatTableId(id);
  const subject = subjectOf(id, column.name);
  const sql = { sqlTable: mariadbTable(id), sqlColumn: mariadbName(column.name) };
  if (holds(grants, 'TRIGGER', id)) {
    const detail =
      beforeUpdate.length === 0
        ? 'it has no ON UPDATE current_timestamp, and the table no BEFORE UPDATE trigger'
        : `it has no ON UPDATE current_timestamp, and none of the BEFORE UPDATE triggers (${beforeUpdate.map((one) => one.name).join(', ')}) sets it`;
    return [mariadbFinding('TIMESTAMP_NOT_MOVED', 'query', subject, { triggerOrAnotherWay: movedColumnSql(id, found), detail, table })];
  }
  const detail = 'it has no ON UPDATE current_timestamp, and the account may not see triggers (TRIGGER)';
  return [mariadbFinding('TIMESTAMP_TRIGGER_UNCLEAR', 'query', subject, { ...sql, detail, sqlAccount: mariadbAccount(grants.account) })];
}

/** A column of its own that no SELECT * shows and no INSERT need name: to change what the application has could change what it means. */
function movedColumnSql(id: TableId, found: MariadbFound): string {
  let name = 'cdc_updated_at';
  for (let number = 2; columnOf(found, name) !== undefined; number += 1) name = `cdc_updated_at_${number}`;
  const now = 'current_timestamp(6)';
  return [
    'SET SESSION lock_wait_timeout = 3;',
    `ALTER TABLE ${mariadbTable(id)} ADD COLUMN ${name} timestamp(6) INVISIBLE NOT NULL DEFAULT ${now} ON UPDATE ${now}, ADD INDEX (${[name, ...keyOf(found)].map(mariadbName).join(', ')});`,
    `Then set timestampColumn: ${name} in poller.tables, and run cdc poller reset for the table, which loads it again.`,
  ].join('\n');
}

function keyOf({ indexes }: MariadbFound): readonly string[] {
  return indexes.find(({ primary }) => primary)?.columns ?? [];
}

function judgeZone(id: TableId, column: MariadbColumn, { timeZone }: PolledTable, context: PolledContext): readonly Finding[] {
  const { zoneName, zoneOffsetSeconds, now } = context;
  const isServers = /current_timestamp/i.test(`${column.extra} ${column.default ?? ''}`);
  if (column.dataType !== 'datetime' || timeZone === undefined || !isServers) return [];
  if (offsetSeconds(timeZone, now) === zoneOffsetSeconds) return [];
  return [mariadbFinding('TIME_ZONE_DIFFERS', 'query', subjectOf(id, column.name), { server: zoneName, configured: timeZone })];
}

/** How far a zone is ahead of UTC at an instant. */
function offsetSeconds(timeZone: string, now: number): number {
  const parts = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' }).formatToParts(now);
  const text = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign = '+', hours = '0', minutes = '0'] = /GMT([+-])(\d+):(\d+)/.exec(text) ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
}

function columnOf({ columns }: MariadbFound, name: string): MariadbColumn | undefined {
  return columns.find((column) => column.name === name);
}

function subjectOf(id: TableId, column: string): { kind: 'column'; name: string; table: string } {
  const table = formatTableId(id);
  return { kind: 'column', name: `${table}.${column}`, table };
}
