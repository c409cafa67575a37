import { formatTableId } from '#change-events/index.ts';
import type { Capture } from '../../capture.ts';
import { finding, type Finding } from '../../finding.ts';
import type { PublicationFacts } from '../probe/replication.ts';
import type { PublishableTable } from '#connectors/postgres/facts/published-facts.ts';
import { sqlName } from '#connectors/postgres/sql-names.ts';
import { leavesOut } from '#connectors/left-out.ts';
import { lostColumns } from '#connectors/postgres/facts/lost-columns.ts';
import type { Loss } from '#connectors/postgres/facts/lossy-types.ts';
import { misnamedColumns } from '#connectors/postgres/facts/unfit-names.ts';

/** What of a captured table the log, or Debezium, does not carry. Pure. */
export function judgeCarried(table: PublishableTable, publication: PublicationFacts | undefined, capture: Capture): readonly Finding[] {
  const { id } = table;
  const name = formatTableId(id);
  const subject = { kind: 'table', name, table: name } as const;
  const { config } = capture.file;
  const leftOut = leavesOut(config);
  const left = (column: string): boolean => leftOut(id, column);
  const findings: Finding[] = [];
  const missing = missingColumns(table, publication, capture).filter(({ column }) => !left(column));
  const [first] = missing;
  if (first !== undefined) {
    const canBePublished = missing.every(({ statement }) => statement !== undefined);
    const columns = missing.map(({ column }) => column);
    const remedy = canBePublished
      ? `${first.statement ?? ''} (cdc connectors prepare)`
      : `Leave it out of the snapshot too: "column.exclude.list": ${excludeList(table, columns)} in the connector file; or poll the table.`;
    findings.push(
      finding('GENERATED_NOT_PUBLISHED', 'log', subject, { columns: columns.join(', '), detail: first.why, statements: remedy }),
    );
  }
  const losing = (loss: Loss): readonly string[] => lostColumns(table, config, loss);
  const [lost, stopping, atEdges] = [losing('lost'), losing('stops'), losing('edge')];
  if (lost.length > 0)
    findings.push(finding('VALUES_LOST', 'log', subject, { columns: lost.join(', '), orLeaveOut: orLeaveOut(table, lost) }));
  if (stopping.length > 0) findings.push(finding('VALUES_STOP_CONNECTOR', 'log', subject, { columns: stopping.join(', ') }));
  if (atEdges.length > 0) findings.push(finding('VALUES_LOST_AT_EDGES', 'log', subject, { columns: atEdges.join(', ') }));
  if (table.kind === 'p') findings.push(finding('PARTITION_TRUNCATE', 'log', subject, {}));
  return findings;
}

/** Generated columns that the publication does not hold, or will not when prepare has made it. */
function missingColumns(
  { relations, version }: PublishableTable,
  publication: PublicationFacts | undefined,
  capture: Capture,
): readonly { readonly column: string; readonly why: string; readonly statement: string | undefined }[] {
  const [table] = relations;
  if (table === undefined) return [];
  const listed = table.publications.find(({ name }) => name === capture.publication)?.columns ?? null;
  const virtual = table.virtual.map((column) => ({ column, why: 'a virtual generated column is never published', statement: undefined }));
  if (version < 18) {
    const why = `Postgres ${version} publishes no generated column`;
    return [...table.stored.map((column) => ({ column, why, statement: undefined })), ...virtual];
  }
  if (publication === undefined || publication.stored || listed !== null) return virtual;
  const why = `publication ${publication.name} does not publish generated columns`;
  const statement = `ALTER PUBLICATION ${sqlName(publication.name)} SET (publish_generated_columns = stored);`;
  return [...table.stored.map((column) => ({ column, why, statement })), ...virtual];
}

/** A column of the key cannot be left out, and one whose name Debezium changes neither. */
function orLeaveOut(table: PublishableTable, columns: readonly string[]): string {
  const misnamed = misnamedColumns(table.columns.map((column) => column.name));
  if (columns.some((column) => table.keyColumns.includes(column) || misnamed.has(column))) return '';
  return `, or leave the column out: "column.exclude.list": ${excludeList(table, columns)} in the connector file`;
}

function excludeList({ id }: PublishableTable, columns: readonly string[]): string {
  const text = columns.map((column) => `${id.schema}.${id.table}.${column}`.replaceAll(/[^\p{L}\p{N}_ ]/gu, String.raw`\$&`)).join(',');
  return JSON.stringify(text);
}
