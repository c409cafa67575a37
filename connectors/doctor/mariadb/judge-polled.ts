import { formatTableId, type TableId } from '#change-events/index.ts';
import { mariadbFinding, type Finding } from '../finding.ts';
import { isUnique, keyColumns, tieBreakers, type PolledTable } from '../polled-tables.ts';
import { holds, type Grants } from '../../binlog/grants.ts';
import type { MariadbColumn, MariadbFound } from './probe-table.ts';
import { sqlAccount, sqlName, sqlTable } from './sql-names.ts';

/** The poller's own rules, which this folder may not import (cdc-poller/source/words.ts). */
const integer = /^(?:tiny|small|medium|big)?int$/;
/** Not float, whose text is rounded, nor enum and set, which are ordered by number and compared by text. */
const ordered =
  /^(?:(?:tiny|small|medium|big)?int|decimal|double|year|(?:var)?char|(?:tiny|medium)?text|(?:var)?binary|uuid|inet[46]|date|time|datetime|timestamp)$/;

export type PolledContext = {
  readonly grants: Grants;
  readonly zoneName: string;
  readonly zoneOffsetSeconds: number;
  /** This host's clock in ms. */
  readonly now: number;
};

/** Can the table be polled as it is configured, and what would a poll miss beyond what the window misses? Pure. */
export function judgePolledTable(id: TableId, found: MariadbFound, polled: PolledTable, context: PolledContext): readonly Finding[] {
  const name = formatTableId(id);
  const subject = { kind: 'table', name, table: name } as const;
  const isView = found.kind === 'view';
  if (isView && polled.mode === 'incrementing') {
    return [mariadbFinding('TABLE_KIND', 'query', subject, { kind: 'a view', setting: 'poller.tables' })];
  }
  const findings = [...judgeTimestamps(id, found, polled, context), ...judgeIds(id, found, polled)];
  if (polled.mode === 'bulk') return findings;
  if (isView) return polled.key === undefined ? [...findings, mariadbFinding('KEY_MISSING', 'query', subject, {})] : findings;
  const key = keyColumns(found, polled);
  if (key.length === 0) return [...findings, mariadbFinding('KEY_MISSING', 'query', subject, {})];
  const columns = [...new Set([...polled.timestampColumns, ...tieBreakers(found, polled)])];
  if (columns.some((column) => columnOf(found, column) === undefined)) return findings;
  const particulars = { columns: columns.join(', '), sqlTable: sqlTable(id) };
  if (polled.key === undefined && !isUnique(found, columns)) {
    findings.push(mariadbFinding('ORDER_NOT_UNIQUE', 'query', subject, { ...particulars, sqlColumns: key.map(sqlName).join(', ') }));
  }
  const isServed = found.indexes.some((index) => !index.partial && columns.every((column, at) => index.columns[at] === column));
  if (polled.timestampColumns.length < 2 && !isServed) {
    findings.push(mariadbFinding('COLUMN_UNINDEXED', 'query', subject, { ...particulars, sqlColumns: columns.map(sqlName).join(', ') }));
  }
  for (const column of tieBreakers(found, polled)) {
    const { dataType = '' } = columnOf(found, column) ?? {};
    if (column === polled.incrementingColumn || ordered.test(dataType)) continue;
    findings.push(
      mariadbFinding('COLUMN_TYPE', 'query', subjectOf(id, column), {
        setting: 'key',
        type: dataType,
        detail: 'its text does not read back as the same value in the same order, and pages are cut by it',
        advice: 'Declare another unique key in poller.tables',
      }),
    );
  }
  return findings;
}

function judgeTimestamps(id: TableId, found: MariadbFound, polled: PolledTable, context: PolledContext): Finding[] {
  const { timestampColumns } = polled;
  const findings = timestampColumns.flatMap((name, at) => {
    const column = columnOf(found, name);
    if (column === undefined) return [unknownColumn(id, found, name, 'timestampColumn')];
    const isLocal = column.dataType === 'datetime';
    if (column.dataType !== 'timestamp' && !(isLocal && polled.timeZone !== undefined)) {
      return [
        mariadbFinding('COLUMN_TYPE', 'query', subjectOf(id, name), {
          setting: 'timestampColumn',
          type: column.columnType,
          detail: isLocal ? "its times cannot be compared with the server's clock" : 'it has no usable order of time',
          advice: isLocal
            ? 'Set timeZone in poller.tables to the zone in which the application writes it'
            : 'Choose a column of type timestamp in poller.tables',
        }),
      ];
    }
    if (found.kind === 'view') return [];
    return [...judgeZone(id, column, polled, context), ...(at === 0 ? judgeMover(id, found, column, context) : [])];
  });
  const nullable = timestampColumns.flatMap((name) => columnOf(found, name) ?? []).filter(({ notNull }) => !notNull);
  const [last] = nullable.slice(-1);
  // Of several, the first that is not null counts: one that never is suffices.
  if (found.kind === 'table' && last !== undefined && nullable.length === timestampColumns.length) {
    findings.push(nullColumn(id, last, 'timestampColumn'));
  }
  return findings;
}

function judgeIds(id: TableId, found: MariadbFound, { incrementingColumn, mode, idsAscend }: PolledTable): readonly Finding[] {
  if (incrementingColumn === null) return [];
  const column = columnOf(found, incrementingColumn);
  if (column === undefined) return [unknownColumn(id, found, incrementingColumn, 'incrementingColumn')];
  const subject = subjectOf(id, incrementingColumn);
  const findings: Finding[] = [];
  if (!(mode === 'incrementing' ? integer : ordered).test(column.dataType)) {
    findings.push(
      mariadbFinding('COLUMN_TYPE', 'query', subject, {
        setting: 'incrementingColumn',
        type: column.columnType,
        detail: 'it has no usable order of ids',
        advice: 'Choose a column of an integer type in poller.tables',
      }),
    );
  }
  if (found.kind === 'table' && !column.notNull) findings.push(nullColumn(id, column, 'incrementingColumn'));
  if (mode === 'incrementing' && !idsAscend && !column.extra.includes('auto_increment')) {
    findings.push(mariadbFinding('IDS_NOT_ASCENDING', 'query', subject, { detail: 'No AUTO_INCREMENT gives them' }));
  }
  return findings;
}

/** ON UPDATE current_timestamp is plain; of triggers, an assignment to the column; and who lacks the right TRIGGER sees none. */
function judgeMover(id: TableId, { beforeUpdate }: MariadbFound, column: MariadbColumn, { grants }: PolledContext): readonly Finding[] {
  if (column.extra.includes('on update current_timestamp')) return [];
  const name = column.name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const assigned = new RegExp(String.raw`\bnew\s*\.\s*\`?${name}\`?\s*:?=`, 'i');
  if (beforeUpdate.some(({ body }) => assigned.test(body))) return [];
  const table = formatTableId(id);
  const subject = subjectOf(id, column.name);
  const sql = { sqlTable: sqlTable(id), sqlColumn: sqlName(column.name) };
  if (holds(grants, 'TRIGGER', id)) {
    const detail =
      beforeUpdate.length === 0
        ? 'it has no ON UPDATE current_timestamp, and the table no BEFORE UPDATE trigger'
        : `it has no ON UPDATE current_timestamp, and none of the BEFORE UPDATE triggers (${beforeUpdate.map((one) => one.name).join(', ')}) sets it`;
    return [mariadbFinding('TIMESTAMP_NOT_MOVED', 'query', subject, { ...sql, detail, table })];
  }
  const detail = 'it has no ON UPDATE current_timestamp, and the account may not see triggers (TRIGGER)';
  return [mariadbFinding('TIMESTAMP_TRIGGER_UNCLEAR', 'query', subject, { ...sql, detail, sqlAccount: sqlAccount(grants.account) })];
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

function nullColumn(id: TableId, { name, columnType }: MariadbColumn, setting: string): Finding {
  const particulars = { setting, sqlTable: sqlTable(id), sqlColumn: sqlName(name), type: columnType };
  return mariadbFinding('COLUMN_NULLABLE', 'query', subjectOf(id, name), particulars);
}

function unknownColumn(id: TableId, { columns }: MariadbFound, column: string, setting: string): Finding {
  const fit = setting === 'timestampColumn' ? /^timestamp$/ : integer;
  const usable = columns.filter(({ dataType }) => fit.test(dataType)).map(({ name }) => name);
  const candidates = usable.length > 0 ? `By type, ${usable.join(', ')} would do.` : 'It has no column of a type that would do.';
  return mariadbFinding('COLUMN_UNKNOWN', 'query', subjectOf(id, column), { table: formatTableId(id), column, setting, candidates });
}
