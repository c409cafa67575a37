import { formatTableId } from '#change-events/index.ts';
import type { Capture } from '../../capture.ts';
import { finding, type Finding } from '../../finding.ts';
import type { PublicationFacts, ReplicationFacts } from '../probe/replication.ts';
import type { TableFacts } from '../probe/tables.ts';
import { sqlName, sqlTable } from '#connectors/postgres/sql-names.ts';
import { isPublished, isTable } from './publication.ts';

/** May the replicator read the log? Pure. */
export function judgeReplicator({ roles }: ReplicationFacts, role: string): readonly Finding[] {
  const found = roles.find(({ name }) => name === role);
  if (found === undefined || found.replication) return [];
  return [finding('REPLICATION_MISSING', 'log', { kind: 'role', name: role }, { sqlRole: sqlName(role) })];
}

/** Can the owner make what is missing still? Says nothing when nothing is missing. Pure. */
export function judgeOwner(
  facts: ReplicationFacts,
  ownerRole: string,
  publication: PublicationFacts | undefined,
  tables: readonly TableFacts[],
  heartbeatMissing: boolean,
): readonly Finding[] {
  const toPublish = tables.filter(({ id, found }) => isTable(found) && !isPublished(publication, id, found.partitions));
  const needsSchema = heartbeatMissing && !facts.hasCdcSchema;
  if (toPublish.length === 0 && !needsSchema && publication !== undefined) return [];
  const owner = facts.roles.find(({ name }) => name === ownerRole);
  const subject = { kind: 'role', name: ownerRole } as const;
  if (owner === undefined) {
    const owners = [...new Set(tables.flatMap(({ found }) => found?.owner ?? []))].join(', ') || 'nobody known';
    return [finding('OWNER_MISSING', 'log', subject, { owners })];
  }
  const findings: Finding[] = [];
  const what = [...(publication === undefined ? ['a publication'] : []), ...(needsSchema ? ['a schema'] : [])].join(' or ');
  if (what !== '' && !owner.mayCreateInDatabase) {
    const { database } = facts;
    const particulars = { what, database, sqlDatabase: sqlName(database), sqlRole: sqlName(ownerRole) };
    findings.push(finding('OWNER_LACKS_CREATE', 'log', subject, particulars));
  }
  for (const { id, found } of toPublish) {
    if (found === null || found.ownedByOwnerRole) continue;
    const table = formatTableId(id);
    const particulars = { role: ownerRole, owner: found.owner, sqlOwner: sqlName(found.owner), sqlRole: sqlName(ownerRole) };
    findings.push(finding('OWNER_NOT_OWNER', 'log', { kind: 'table', name: table, table }, particulars));
  }
  return findings;
}

/** A connector file's helper tables. Null: it names none; undefined: it could not be seen. */
export type HelperTables = {
  readonly heartbeat: TableFacts | null | undefined;
  /** The heartbeat table has no row. */
  readonly isHeartbeatEmpty: boolean;
  readonly signal: TableFacts | null | undefined;
};

/** Can the connector beat its heartbeat, and hear signals? Pure. */
export function judgeHelperTables(
  capture: Capture,
  publication: PublicationFacts | undefined,
  { heartbeat, signal, isHeartbeatEmpty }: HelperTables,
  role: string,
): readonly Finding[] {
  return [
    ...(heartbeat === undefined ? [] : judgeHeartbeat(capture, publication, heartbeat, role, isHeartbeatEmpty)),
    ...(signal === undefined ? [] : judgeSignal(capture, publication, signal, role)),
  ];
}

function judgeHeartbeat(
  { file, heartbeatProblem }: Capture,
  publication: PublicationFacts | undefined,
  heartbeat: TableFacts | null,
  role: string,
  isEmpty: boolean,
): readonly Finding[] {
  if (heartbeat === null) {
    return [finding('HEARTBEAT_OFF', 'log', { kind: 'connector', name: file.name }, { detail: heartbeatProblem ?? 'no table' })];
  }
  const { id, found } = heartbeat;
  const table = formatTableId(id);
  const subject = { kind: 'table', name: table, table } as const;
  if (found === null) return [finding('HEARTBEAT_TABLE_MISSING', 'log', subject, {})];
  const findings: Finding[] = [];
  if (isEmpty) findings.push(finding('HEARTBEAT_ROW_MISSING', 'log', subject, { sqlTable: sqlTable(id) }));
  if (publication !== undefined && !isPublished(publication, id, found.partitions)) {
    const particulars = { publication: publication.name, sqlPublication: sqlName(publication.name), sqlTable: sqlTable(id) };
    findings.push(finding('HEARTBEAT_NOT_PUBLISHED', 'log', subject, particulars));
  }
  if (!found.mayUseSchema || !found.mayUpdate || !found.maySelect) {
    const particulars = { role, sqlRole: sqlName(role), sqlSchema: sqlName(id.schema), sqlTable: sqlTable(id) };
    findings.push(finding('HEARTBEAT_UPDATE_MISSING', 'log', subject, particulars));
  }
  return findings;
}

function judgeSignal(
  { file }: Capture,
  publication: PublicationFacts | undefined,
  signal: TableFacts | null,
  role: string,
): readonly Finding[] {
  if (signal === null) return [];
  const { id, found } = signal;
  const table = formatTableId(id);
  const problems: string[] = [];
  if (found === null) problems.push('it does not exist');
  else {
    if (publication !== undefined && !isPublished(publication, id)) problems.push(`it is not in publication ${publication.name}`);
    if (!found.mayUseSchema || !found.mayInsert) problems.push(`role ${role} may not insert into it`);
  }
  if (problems.length === 0) return [];
  const particulars = { connector: file.name, detail: problems.join(', ') };
  return [finding('SIGNAL_TABLE_UNUSABLE', 'log', { kind: 'table', name: table, table }, particulars)];
}
