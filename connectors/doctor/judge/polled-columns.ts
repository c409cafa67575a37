import { formatTableId } from '#change-events/index.ts';
import { finding, type Finding } from '../finding.ts';
import type { PolledTable } from '../polled-tables.ts';
import type { ColumnFacts, FoundTable, TableFacts } from '../probe/tables.ts';
import { sqlName, sqlTable } from '../sql-names.ts';

type Id = TableFacts['id'];
type Setting = 'timestampColumn' | 'incrementingColumn' | 'key';

const withZone = /^timestamp(?:\(\d\))? with time zone$/;
const withoutZone = /^timestamp(?:\(\d\))? without time zone$/;
const integer = /^(?:bigint|integer|smallint)$/;
/** Types whose order an index knows, and whose text reads back as the same value. */
const ordered =
  /^(?:bigint|integer|smallint|numeric|oid|uuid|text|name|bytea|boolean|inet|macaddr|real|double precision|date|(?:character(?: varying)?|numeric)(?:\(.*\))?|time(?:stamp)?(?:\(\d\))? with(?:out)? time zone)$/;

/** The tracking columns, their types and nulls, and the sequence behind the ids. Pure. */
export function judgeColumns(id: Id, table: FoundTable, polled: PolledTable): readonly Finding[] {
  const { timestampColumns, incrementingColumn, mode } = polled;
  const findings = timestampColumns.flatMap((name) => judgeTimestamp(id, table, name, polled));
  const nullable = timestampColumns.filter((name) => columnOf(table, name)?.notNull === false);
  // Of several, the first that is not null counts: one that never is suffices.
  const [last] = nullable.slice(-1);
  const isStored = table.kind === 'r' || table.kind === 'p';
  if (isStored && last !== undefined && nullable.length === timestampColumns.length) {
    findings.push(nullFinding(id, last, 'timestampColumn', 'now()'));
  }
  if (incrementingColumn === null) return findings;
  const column = columnOf(table, incrementingColumn);
  if (column === undefined) return [...findings, unknownFinding(id, table, incrementingColumn, 'incrementingColumn')];
  const fits = mode === 'incrementing' ? integer : ordered;
  if (!fits.test(column.type)) {
    const particulars = {
      setting: 'incrementingColumn',
      type: column.type,
      detail: 'it has no usable order of ids',
      advice: 'Choose a column of type bigint, integer or smallint in poller.tables',
    };
    findings.push(finding('COLUMN_TYPE', 'query', subjectOf(id, column.name), particulars));
  }
  if (isStored && !column.notNull) findings.push(nullFinding(id, column.name, 'incrementingColumn', '…'));
  findings.push(...judgeSequence(id, column, polled));
  return findings;
}

function judgeTimestamp(id: Id, table: FoundTable, name: string, { timeZone }: PolledTable): Finding[] {
  const column = columnOf(table, name);
  if (column === undefined) return [unknownFinding(id, table, name, 'timestampColumn')];
  const { type } = column;
  if (withZone.test(type) || (withoutZone.test(type) && timeZone !== undefined)) return [];
  const isLocal = withoutZone.test(type);
  const particulars = {
    setting: 'timestampColumn',
    type,
    detail: isLocal ? "its times cannot be compared with the server's clock" : 'it has no usable order of time',
    advice: isLocal
      ? 'Set timeZone in poller.tables to the zone in which the application writes it'
      : 'Choose a column of type timestamp with time zone in poller.tables',
  };
  return [finding('COLUMN_TYPE', 'query', subjectOf(id, name), particulars)];
}

/** An id floor holds only for ids that ascend in the order in which they are drawn. */
function judgeSequence(id: Id, { name, sequence }: ColumnFacts, { mode, idsAscend }: PolledTable): readonly Finding[] {
  const boundsTheScan = mode === 'incrementing';
  const subject = subjectOf(id, name);
  if (sequence === null) {
    if (!boundsTheScan || idsAscend) return [];
    return [finding('IDS_NOT_ASCENDING', 'query', subject, { detail: 'No sequence gives them' })];
  }
  const findings: Finding[] = [];
  if (sequence.cache > 1) {
    const particulars = { cache: String(sequence.cache), sqlSequence: sqlTable(sequence) };
    findings.push(finding('SEQUENCE_CACHE', 'query', subject, particulars, boundsTheScan ? 'error' : 'info'));
  }
  if (boundsTheScan && !sequence.ascends) {
    findings.push(finding('IDS_NOT_ASCENDING', 'query', subject, { detail: 'Their sequence counts down or begins again' }));
  }
  return findings;
}

function columnOf({ columns }: FoundTable, name: string): ColumnFacts | undefined {
  return columns.find((column) => column.name === name);
}

function subjectOf(id: Id, column: string): { kind: 'column'; name: string; table: string } {
  const table = formatTableId(id);
  return { kind: 'column', name: `${table}.${column}`, table };
}

function nullFinding(id: Id, column: string, setting: Setting, filler: string): Finding {
  const particulars = { setting, sqlTable: sqlTable(id), sqlColumn: sqlName(column), filler };
  return finding('COLUMN_NULLABLE', 'query', subjectOf(id, column), particulars);
}

function unknownFinding(id: Id, table: FoundTable, column: string, setting: Setting): Finding {
  const fit = setting === 'timestampColumn' ? withZone : integer;
  const usable = table.columns.filter(({ type }) => fit.test(type)).map(({ name }) => name);
  const candidates = usable.length > 0 ? `By type, ${usable.join(', ')} would do.` : 'It has no column of a type that would do.';
  return finding('COLUMN_UNKNOWN', 'query', subjectOf(id, column), { table: formatTableId(id), column, setting, candidates });
}
