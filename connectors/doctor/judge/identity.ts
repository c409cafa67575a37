import { formatTableId } from '#change-events/index.ts';
import type { Capture } from '../capture.ts';
import { finding, type Finding, type Severity } from '../finding.ts';
import type { PublicationFacts } from '../probe/replication.ts';
import type { FoundTable, TableFacts } from '../probe/tables.ts';
import { formatBytes } from '../../source/lsn.ts';
import { sqlName, sqlTable } from '../sql-names.ts';
import { isPublished, isTable } from './publication.ts';

const identities = { d: 'DEFAULT', n: 'NOTHING', i: 'an index', f: 'FULL' } as const;
const refusals = {
  d: 'it has no primary key (or only a deferrable one) to serve as replica identity',
  n: 'its replica identity is NOTHING',
  i: 'the index that was its replica identity is gone',
} as const;

/** Tables of a publication whose UPDATE and DELETE fail already, whether a connector captures them or not. Pure. */
export function judgePublishedIdentities(publication: PublicationFacts): readonly Finding[] {
  return publication.refusing.map(({ schema, table: name, identity }) => {
    const table = `${schema}.${name}`;
    return finding(
      'IDENTITY_BREAKS_WRITES',
      'log',
      { kind: 'table', name: table, table },
      {
        publication: publication.name,
        sqlPublication: sqlName(publication.name),
        sqlTable: sqlTable({ schema, table: name }),
        detail: refusals[identity],
      },
    );
  });
}

/** Will writes to a captured table fail once it is published, and what will its events lack? Pure. */
export function judgeIdentity({ id, found }: TableFacts, publication: PublicationFacts | undefined, capture: Capture): readonly Finding[] {
  if (!isTable(found)) return [];
  const table = formatTableId(id);
  const subject = { kind: 'table', name: table, table } as const;
  const findings: Finding[] = [];
  if (found.persistence !== 'p') {
    const persistence = found.persistence === 'u' ? 'unlogged' : 'temporary';
    findings.push(finding('TABLE_UNLOGGED', 'log', subject, { persistence, sqlTable: sqlTable(id) }));
  }
  const { replicaIdentity } = found;
  if (replicaIdentity === 'f') return findings;
  const refusal = refusalOf(found);
  if (refusal !== undefined) {
    if (isPublished(publication, id, found.partitions)) return findings;
    // cdc connectors prepare mends DEFAULT by itself and refuses NOTHING.
    const severity: Severity = replicaIdentity === 'd' && capture.autocreate === 'disabled' ? 'warning' : 'error';
    return [...findings, finding('IDENTITY_WILL_BREAK_WRITES', 'log', subject, { detail: refusal, sqlTable: sqlTable(id) }, severity)];
  }
  const identity = identities[replicaIdentity];
  findings.push(finding('BEFORE_IMAGE_MISSING', 'log', subject, { identity, sqlTable: sqlTable(id) }));
  const toastable = found.columns.filter((column) => column.toastable);
  if (toastable.length > 0) {
    const particulars = {
      columns: toastable.map(({ name }) => name).join(', '),
      bytes: formatBytes(found.toastBytes),
      identity,
      sqlTable: sqlTable(id),
    };
    findings.push(finding('TOAST_WITHOUT_IDENTITY', 'log', subject, particulars, found.toastBytes > 0 ? 'warning' : 'info'));
  }
  return findings;
}

/** Why UPDATE and DELETE would be refused if the table were published; undefined when they would not. */
function refusalOf({ replicaIdentity, indexes }: FoundTable): string | undefined {
  switch (replicaIdentity) {
    case 'f':
      return undefined;
    case 'd':
      return indexes.some(({ primary, immediate, valid }) => primary && immediate && valid) ? undefined : refusals.d;
    case 'i':
      return indexes.some((index) => index.replicaIdentity) ? undefined : refusals.i;
    case 'n':
      return refusals.n;
  }
}
