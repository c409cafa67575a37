import { formatTableId } from '#change-events/index.ts';
import { formatBytes } from '../../source/lsn.ts';
import { finding, type Finding } from '../finding.ts';
import { isUnique, keyColumns, tieBreakers } from '#pipeline/index.ts';
import { keysOf, type PolledTable } from '../polled-tables.ts';
import type { FoundTable, TableFacts } from '../probe/tables.ts';
import { sqlName, sqlTable } from '../sql-names.ts';
import { judgeColumns } from './polled-columns.ts';
import { columnMover } from './timestamp-trigger.ts';

const kinds = { v: 'a view', m: 'a materialised view', f: 'a foreign table' } as const;

/** Can the table be polled as it is configured, and what would a poll miss? Rights are judgeAccess'. Pure. */
export function judgePolledTable(facts: TableFacts, polled: PolledTable): readonly Finding[] {
  const { id, found } = facts;
  if (found === null) return [];
  const { kind } = found;
  if (kind !== 'r' && kind !== 'p') return judgeView(facts, polled, kinds[kind]);
  return [
    ...judgeColumns(id, found, polled),
    ...judgeKey(id, found, polled),
    ...judgeIndex(id, found, polled),
    ...judgeMover(id, found, polled),
    ...judgeBlindness(id, found, polled),
  ];
}

type Id = TableFacts['id'];

function subjectOf(id: Id): { kind: 'table'; name: string; table: string } {
  const table = formatTableId(id);
  return { kind: 'table', name: table, table };
}

function judgeView({ id, found }: TableFacts, polled: PolledTable, kind: string): readonly Finding[] {
  if (found === null) return [];
  if (polled.mode === 'incrementing') return [finding('TABLE_KIND', 'query', subjectOf(id), { kind, setting: 'poller.tables' })];
  const findings = [...judgeColumns(id, found, polled)];
  if (polled.mode !== 'bulk') findings.push(finding('NO_FENCE', 'query', subjectOf(id), { kind }));
  if (polled.key === undefined && polled.mode !== 'bulk') findings.push(finding('KEY_MISSING', 'query', subjectOf(id), {}));
  return findings;
}

function judgeKey(id: Id, table: FoundTable, polled: PolledTable): readonly Finding[] {
  const key = keyColumns(keysOf(table), polled.config);
  if (key.length === 0) return [finding('KEY_MISSING', 'query', subjectOf(id), {})];
  const columns = [...polled.timestampColumns, ...tieBreakers(keysOf(table), polled.config)];
  const known = columns.every((name) => table.columns.some((column) => column.name === name));
  if (polled.key !== undefined || !known || isUnique(keysOf(table), columns)) return [];
  return [
    finding('ORDER_NOT_UNIQUE', 'query', subjectOf(id), {
      columns: columns.join(', '),
      sqlTable: sqlTable(id),
      sqlColumns: key.map(sqlName).join(', '),
    }),
  ];
}

/** Of several timestamps, pages are ordered by an expression, whose index cannot be told by its columns. */
function judgeIndex(id: Id, table: FoundTable, polled: PolledTable): readonly Finding[] {
  const { mode, timestampColumns } = polled;
  const columns = [...timestampColumns, ...tieBreakers(keysOf(table), polled.config)];
  if (mode === 'bulk' || timestampColumns.length > 1) return [];
  if (columns.length === 0 || columns.some((name) => table.columns.every((column) => column.name !== name))) return [];
  const serves = table.indexes.some(
    (index) => index.valid && !index.partial && index.method === 'btree' && columns.every((name, at) => index.columns[at] === name),
  );
  if (serves) return [];
  return [
    finding('COLUMN_UNINDEXED', 'query', subjectOf(id), {
      columns: columns.join(', '),
      sqlTable: sqlTable(id),
      sqlColumns: columns.map(sqlName).join(', '),
      size: table.bytes > 0 ? formatBytes(table.bytes) : 'small, or never analysed',
    }),
  ];
}

/** Of several timestamps the first is the one that an update sets. */
function judgeMover(id: Id, table: FoundTable, { timestampColumns }: PolledTable): readonly Finding[] {
  const [name] = timestampColumns;
  if (name === undefined || table.columns.every((column) => column.name !== name)) return [];
  const mover = columnMover(table, name);
  const owner = formatTableId(id);
  const subject = { kind: 'column', name: `${owner}.${name}`, table: owner } as const;
  switch (mover.kind) {
    case 'moved':
      return [];
    case 'unclear':
      return [finding('TIMESTAMP_TRIGGER_UNCLEAR', 'query', subject, { detail: mover.detail, table: owner, column: name })];
    case 'unmoved':
      return [
        finding('TIMESTAMP_NOT_MOVED', 'query', subject, {
          detail: mover.detail,
          table: owner,
          sqlSchema: sqlName(id.schema),
          sqlTable: sqlTable(id),
          sqlColumn: sqlName(name),
          sqlTrigger: sqlName(`touch_${id.table}_${name}`),
        }),
      ];
  }
}

/** What no poll of this mode can see, where it happens. */
function judgeBlindness(id: Id, { statistics }: FoundTable, { mode }: PolledTable): readonly Finding[] {
  const { deletes, updates } = statistics;
  return [
    ...(deletes > 0 ? [finding('DELETES_INVISIBLE', 'query', subjectOf(id), { deletes: String(deletes) })] : []),
    ...(updates > 0 && mode === 'incrementing' ? [finding('UPDATES_INVISIBLE', 'query', subjectOf(id), { updates: String(updates) })] : []),
  ];
}
