import { formatTableId, type TableId } from '#change-events/index.ts';
import type { Capture } from '../../capture.ts';
import { finding, type Finding, type Severity } from '../../finding.ts';
import type { PublicationFacts } from '../probe/replication.ts';
import type { FoundTable, TableFacts } from '../probe/tables.ts';
import { fittingIdentity, identityOf, refusalOf } from '#connectors/postgres/facts/identity-rules.ts';
import { identityStatement, planTable, type OwnPublication } from '#connectors/postgres/plan-table.ts';
import type { PublishableTable } from '#connectors/postgres/facts/published-facts.ts';
import { sqlName, sqlTable } from '#connectors/postgres/sql-names.ts';

/** The publication of one connector file, and whether it holds all of its tables, whole. Pure. */
export function judgePublication(
  publication: PublicationFacts | undefined,
  capture: Capture,
  tables: readonly TableFacts[],
  publishable: readonly PublishableTable[],
  held: readonly PublishableTable[],
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
    return [...findings, finding('PUBLICATION_MISSING', 'log', subject, {})];
  }
  const { operations } = publication;
  const left = (['insert', 'update', 'delete', 'truncate'] as const).filter((operation) => !operations[operation]);
  if (left.length > 0) {
    const steps = [
      ...identitiesFor(held, name),
      `ALTER PUBLICATION ${sqlPublication} SET (publish = 'insert, update, delete, truncate');`,
    ].join(' ');
    findings.push(finding('PUBLICATION_OPERATIONS', 'log', subject, { operations: left.join(', '), statements: steps }));
  }
  for (const { id, found } of tables) {
    if (!isTable(found)) continue;
    const table = publishable.find((one) => formatTableId(one.id) === formatTableId(id));
    findings.push(...judgeMembership(publication, id, found.partitions, publishText(table, publication)));
  }
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

/** What publishes a table without harm, as cdc connectors prepare does it. */
function publishText(table: PublishableTable | undefined, publication: PublicationFacts): string {
  if (table === undefined) return 'cdc connectors prepare';
  const plan = planTable(table.id, table, ownPublication(publication), { publication: publication.name }, table.owner);
  if (plan.refused !== undefined) return 'Nothing, as it is: cdc connectors prepare leaves it. See the other findings of this table.';
  return `cdc connectors prepare; or: ${plan.steps.map(({ change }) => `${change.statement};`).join(' ')}`;
}

/** What tables of a publication need before it may publish UPDATE and DELETE. */
function identitiesFor(held: readonly PublishableTable[], name: string): readonly string[] {
  return held.flatMap(({ relations, version }) =>
    relations.flatMap((relation) => {
      const publications = relation.publications.map((one) => (one.name === name ? { ...one, updates: true, deletes: true } : one));
      if (!relation.leaf || refusalOf(relation, identityOf(relation), publications, version) === undefined) return [];
      const fitting = fittingIdentity(relation, publications, version);
      const member = sqlTable(publications.find((one) => one.name === name)?.member ?? relation.id);
      return [
        fitting === undefined
          ? `ALTER PUBLICATION ${sqlName(name)} DROP TABLE ${member};`
          : `${identityStatement(sqlTable(relation.id), fitting)};`,
      ];
    }),
  );
}

export function ownPublication(publication: PublicationFacts | undefined): OwnPublication | null {
  if (publication === undefined) return null;
  const { viaRoot, stored, operations } = publication;
  return { viaRoot, stored, updates: operations.update, deletes: operations.delete };
}

function judgeMembership(
  publication: PublicationFacts,
  id: TableId,
  partitions: readonly string[],
  statements: string,
): readonly Finding[] {
  const table = formatTableId(id);
  const subject = { kind: 'table', name: table, table } as const;
  const names = { publication: publication.name, sqlPublication: sqlName(publication.name) };
  const member = publication.tables.find((one) => one.table === table);
  if (member === undefined) {
    if (isPublished(publication, id, partitions)) return [finding('PARTITIONS_SEPARATE', 'log', subject, names)];
    return [finding('TABLE_NOT_PUBLISHED', 'log', subject, { publication: publication.name, statements })];
  }
  const parts: string[] = [];
  if (member.filter !== null && member.filter !== undefined) parts.push(`rows WHERE ${member.filter}`);
  if (member.columns > 0 && member.columns < member.allColumns) parts.push(`${member.columns} of ${member.allColumns} columns`);
  return parts.length === 0
    ? []
    : [finding('PUBLICATION_FILTERED', 'log', subject, { ...names, sqlTable: sqlTable(id), detail: parts.join(', ') })];
}
