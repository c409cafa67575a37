import { formatTableId, type TableId } from '#change-events/index.ts';
import type { Capture } from '../capture.ts';
import { finding, type Finding, type Severity } from '../finding.ts';
import type { PublicationFacts } from '../probe/replication.ts';
import type { FoundTable, TableFacts } from '../probe/tables.ts';
import { sqlName, sqlTable } from '../sql-names.ts';

/** The publication of one connector file, and whether it holds all of its tables, whole. Pure. */
export function judgePublication(
  publication: PublicationFacts | undefined,
  capture: Capture,
  tables: readonly TableFacts[],
): readonly Finding[] {
  const name = capture.publication;
  const sqlPublication = sqlName(name);
  const subject = { kind: 'publication', name } as const;
  const findings: Finding[] = [];
  if (capture.autocreate !== 'disabled') {
    const severity: Severity = capture.autocreate === 'all_tables' ? 'error' : 'warning';
    const particulars = { connector: capture.file.name, publication: name, mode: capture.autocreate };
    findings.push(finding('PUBLICATION_AUTOCREATED', 'log', { kind: 'connector', name: capture.file.name }, particulars, severity));
  }
  if (publication === undefined) {
    if (capture.autocreate !== 'disabled') return findings;
    const all = [...capture.tables, ...(capture.heartbeatTable === null ? [] : [capture.heartbeatTable])];
    return [...findings, finding('PUBLICATION_MISSING', 'log', subject, { sqlPublication, sqlTables: all.map(sqlTable).join(', ') })];
  }
  const { operations } = publication;
  const left = (['insert', 'update', 'delete', 'truncate'] as const).filter((operation) => !operations[operation]);
  if (left.length > 0) findings.push(finding('PUBLICATION_OPERATIONS', 'log', subject, { operations: left.join(', '), sqlPublication }));
  for (const { id, found } of tables) if (isTable(found)) findings.push(...judgeMembership(publication, id, found.partitions));
  return findings;
}

/** Views and foreign tables cannot be published at all. */
export function isTable(found: FoundTable | null): found is FoundTable {
  return found?.kind === 'r' || found?.kind === 'p';
}

/** Whether `publication` publishes the table, by its own name or by its partitions'. */
export function isPublished(publication: PublicationFacts | undefined, id: TableId, partitions: readonly string[] = []): boolean {
  const names = new Set([formatTableId(id), ...partitions]);
  return publication?.tables.some(({ table }) => names.has(table)) ?? false;
}

function judgeMembership(publication: PublicationFacts, id: TableId, partitions: readonly string[]): readonly Finding[] {
  const table = formatTableId(id);
  const subject = { kind: 'table', name: table, table } as const;
  const names = { publication: publication.name, sqlPublication: sqlName(publication.name) };
  const member = publication.tables.find((one) => one.table === table);
  if (member === undefined) {
    if (isPublished(publication, id, partitions)) return [finding('PARTITIONS_SEPARATE', 'log', subject, names)];
    return [finding('TABLE_NOT_PUBLISHED', 'log', subject, { ...names, sqlTable: sqlTable(id) })];
  }
  const parts: string[] = [];
  if (member.filter !== null && member.filter !== undefined) parts.push(`rows WHERE ${member.filter}`);
  if (member.columns > 0 && member.columns < member.allColumns) parts.push(`${member.columns} of ${member.allColumns} columns`);
  return parts.length === 0
    ? []
    : [finding('PUBLICATION_FILTERED', 'log', subject, { ...names, sqlTable: sqlTable(id), detail: parts.join(', ') })];
}
