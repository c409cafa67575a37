import { formatTableId } from '#change-events/index.ts';
import type { Capture } from '../../capture.ts';
import { finding, type Finding, type Severity } from '../../finding.ts';
import type { PublicationFacts } from '../probe/replication.ts';
import type { TableFacts } from '../probe/tables.ts';
import { fittingIdentity, identityOf, refusalOf, type Identity } from '#connectors/postgres/facts/identity-rules.ts';
import { formatBytes } from '#connectors/postgres/lsn.ts';
import { identityStatement, identityText, planTable } from '#connectors/postgres/plan-table.ts';
import type { PublishableTable, RelationFacts, RelationName } from '#connectors/postgres/facts/published-facts.ts';
import { sqlName, sqlTable } from '#connectors/postgres/sql-names.ts';
import { isTable, ownPublication } from './publication.ts';

/** Published tables whose UPDATE and DELETE fail already, whether a connector captures them or not. Pure. */
export function judgePublishedIdentities(tables: readonly PublishableTable[], publication: string): readonly Finding[] {
  const relations = new Map(
    tables.flatMap(({ relations: all, version }) =>
      all.filter(({ leaf }) => leaf).map((relation) => [sqlTable(relation.id), { relation, version }] as const),
    ),
  );
  return [...relations.values()].flatMap(({ relation, version }) => {
    const { publications } = relation;
    const detail = refusalOf(relation, identityOf(relation), publications, version);
    if (detail === undefined) return [];
    const guilty = publications.filter((one) => refusalOf(relation, identityOf(relation), [one], version) !== undefined);
    const [first] = guilty;
    const member = first?.member ?? relation.id;
    const particulars = {
      detail: `${detail} (publication ${guilty.map(({ name }) => name).join(', ')})`,
      statements: remedyFor(relation, version, publication) ?? dropFrom(guilty[0]?.name ?? publication, member),
      sqlPublication: sqlName(first?.name ?? publication),
      sqlMember: sqlTable(member),
    };
    return [finding('IDENTITY_BREAKS_WRITES', 'log', subjectOf(relation.id), particulars)];
  });
}

/** What lets writes of a published table through again, without the end of the last statement; undefined where nothing but leaving it out does. */
function remedyFor(relation: RelationFacts, version: number, ours: string): string | undefined {
  const opened = relation.publications.map((one) => (one.name === ours ? { ...one, stored: version >= 18 } : one));
  if (refusalOf(relation, identityOf(relation), opened, version) === undefined) {
    return `ALTER PUBLICATION ${sqlName(ours)} SET (publish_generated_columns = stored)`;
  }
  const fitting = fittingIdentity(relation, relation.publications, version);
  return fitting === undefined ? undefined : identityStatement(sqlTable(relation.id), fitting);
}

function dropFrom(publication: string, member: RelationName): string {
  return `ALTER PUBLICATION ${sqlName(publication)} DROP TABLE ${sqlTable(member)}`;
}

/** Will writes to a captured table fail once it is published, and what will its events lack? Says what cdc connectors prepare says, which asks the same. Pure. */
export function judgeIdentity(
  { id, found }: TableFacts,
  table: PublishableTable | undefined,
  publication: PublicationFacts | undefined,
  capture: Capture,
): readonly Finding[] {
  if (!isTable(found) || table === undefined) return [];
  const request = { publication: capture.publication };
  const plan = planTable(id, table, ownPublication(publication), request, found.owner);
  if (plan.refused !== undefined) return refusalFindings(table, plan.refused, capture);
  const leaves = table.relations.filter(({ leaf }) => leaf);
  const made = new Map(
    plan.steps.flatMap(({ note, change }) => (note?.kind === 'identity' ? [[sqlTable(note.table), change.statement]] : [])),
  );
  const findings: Finding[] = [];
  const isIn = (relation: RelationFacts): boolean => relation.publications.some(({ name }) => name === capture.publication);
  for (const relation of leaves) {
    const detail = refusalOf(
      relation,
      identityOf(relation),
      [...relation.publications, hypothetical(table, capture.publication)],
      table.version,
    );
    const statement = made.get(sqlTable(relation.id));
    if (detail === undefined || statement === undefined || isIn(relation)) continue;
    // cdc connectors prepare changes DEFAULT by itself.
    const severity: Severity = capture.autocreate === 'disabled' ? 'warning' : 'error';
    const particulars = { detail, statements: `${statement}; before it is published (cdc connectors prepare does so).` };
    findings.push(finding('IDENTITY_WILL_BREAK_WRITES', 'log', subjectOf(relation.id), particulars, severity));
  }
  if (findings.length === 0) findings.push(...beforeImages(found, table, leaves, made));
  return findings;
}

/** As a publication that prepare makes would hold the table. */
function hypothetical(table: PublishableTable, name: string): RelationFacts['publications'][number] {
  const { id, version } = table;
  return {
    name,
    updates: true,
    deletes: true,
    viaRoot: true,
    stored: version >= 18,
    everything: false,
    as: id,
    member: id,
    columns: null,
    filter: [],
  };
}

type Refused = Extract<ReturnType<typeof planTable>, { readonly refused: object }>['refused'];

/** What cdc connectors prepare would refuse. What others judge (rights, kinds, owners), and what is broken already, is left to them. */
function refusalFindings(table: PublishableTable, { kind, relation, reason, remedy }: Refused, capture: Capture): readonly Finding[] {
  const subject = subjectOf(table.id);
  const facts = table.relations.find(({ id }) => sqlTable(id) === sqlTable(relation));
  switch (kind) {
    case 'unlogged': {
      const persistence = facts?.persistence === 't' ? 'temporary' : 'unlogged';
      return [finding('TABLE_UNLOGGED', 'log', subjectOf(relation), { persistence, sqlTable: sqlTable(relation) })];
    }
    case 'foreign':
      return [finding('PARTITION_FOREIGN', 'log', subject, { partition: sqlTable(relation), sqlTable: sqlTable(table.id) })];
    case 'inherited':
      return [finding('CHILDREN_NOT_CAPTURED', 'log', subject, { children: table.children.map(formatTableId).join(', ') })];
    case 'key':
      return [finding('KEY_NOT_LOGGED', 'log', subject, { version: String(table.version) })];
    case 'partitions':
      return [finding('PARTITIONS_WILL_BREAK_WRITES', 'log', subjectOf(relation), { detail: reason.replace(/^.* later, where /, '') })];
    case 'identity': {
      const isBroken = facts !== undefined && refusalOf(facts, identityOf(facts), facts.publications, table.version) !== undefined;
      if (isBroken && facts.publications.some(({ name }) => name === capture.publication)) return [];
      const detail = reason.replace(/^.* would fail, because /, '');
      return [finding('IDENTITY_WILL_BREAK_WRITES', 'log', subjectOf(relation), { detail, statements: remedy }, 'error')];
    }
    case 'missing':
    case 'kind':
    case 'owner':
      return [];
  }
}

/** Tables whose log holds less than the whole old row; one partition is named for all with the same identity. */
function beforeImages(
  found: NonNullable<TableFacts['found']>,
  table: PublishableTable,
  leaves: readonly RelationFacts[],
  made: ReadonlyMap<string, string>,
): readonly Finding[] {
  const findings: Finding[] = [];
  const writable = leaves.filter(
    (relation) => refusalOf(relation, identityOf(relation), relation.publications, table.version) === undefined,
  );
  const groups = Map.groupBy(writable, (relation) => identityText(identityOf(relation)));
  for (const [identity, relations] of groups) {
    if (identity === 'FULL') continue;
    const where = table.kind === 'p' ? ` in ${relations.map(({ id }) => formatTableId(id)).join(', ')}` : '';
    const particulars = { identity, where, statements: wholeRow(relations, table, made) };
    findings.push(finding('BEFORE_IMAGE_MISSING', 'log', subjectOf(table.id), particulars));
    const toastable = found.columns.filter((column) => column.toastable);
    if (toastable.length === 0) continue;
    const columns = toastable.map(({ name }) => name).join(', ');
    const severity = found.toastBytes > 0 ? 'warning' : 'info';
    findings.push(
      finding(
        'TOAST_WITHOUT_IDENTITY',
        'log',
        subjectOf(table.id),
        { ...particulars, columns, bytes: formatBytes(found.toastBytes) },
        severity,
      ),
    );
  }
  return findings;
}

const full: Identity = { kind: 'full' };

/** FULL for what can bear it; where it would make writes fail, that is said instead. */
function wholeRow(relations: readonly RelationFacts[], table: PublishableTable, made: ReadonlyMap<string, string>): string {
  const refused = relations.flatMap((relation) => {
    const publications = [...relation.publications, hypothetical(table, '')];
    const why = refusalOf(relation, full, publications, table.version);
    return why === undefined ? [] : [{ relation, why }];
  });
  const [first] = refused;
  if (first !== undefined)
    return `Leave it so: with FULL, UPDATE and DELETE on ${sqlTable(first.relation.id)} would fail, because ${first.why}.`;
  const statements = relations.map(({ id }) => `${made.get(sqlTable(id)) ?? identityStatement(sqlTable(id), full)};`);
  return `${statements.join(' ')} (cdc connectors prepare)`;
}

function subjectOf(id: RelationName): { readonly kind: 'table'; readonly name: string; readonly table: string } {
  const table = formatTableId(id);
  return { kind: 'table', name: table, table };
}
