import { formatTableId } from '#change-events/index.ts';
import { sqlName, sqlTable } from './sql-names.ts';
import { fittingIdentity, identityOf, refusalOf, type Identity } from './facts/identity-rules.ts';
import type { PublicationOfRelation, PublishableTable, RelationFacts, RelationName } from './facts/published-facts.ts';
import type { SourceChange, SourceRequest, Step } from './source-change.ts';

/** The publication as it is, or (null) as it will be made. */
export type OwnPublication = { readonly viaRoot: boolean; readonly stored: boolean; readonly updates: boolean; readonly deletes: boolean };

/** What to do for one table, or why nothing is done for it. */
export type TablePlan =
  | {
      readonly steps: readonly Step[];
      readonly present: readonly SourceChange[];
      /** As the publication is after these steps. */
      readonly publication: OwnPublication;
      readonly refused?: undefined;
    }
  | { readonly refused: Refusal };
export type Refusal = {
  readonly kind: 'missing' | 'kind' | 'unlogged' | 'foreign' | 'inherited' | 'key' | 'owner' | 'partitions' | 'identity';
  /** The relation that is the reason, where it is not the table as a whole. */
  readonly relation: RelationName;
  readonly reason: string;
  readonly remedy: string;
};

const elsewhere = 'take it out of table.include.list and poll it (docs/poller.md)';

/** Options that a new publication gets: partitions come under the name of their table, and generated columns where the server can (18). */
export function optionsOf(version: number): string {
  return `publish_via_partition_root = true${version >= 18 ? ', publish_generated_columns = stored' : ''}`;
}

/**
 * What publishes `table` without making any statement of the application fail: the identity of each of its partitions, the options of the
 * publication, and the table in it. Refused where nothing does, or where its events would not be true. Pure.
 */
export function planTable(
  id: RelationName,
  table: PublishableTable | undefined,
  publication: OwnPublication | null,
  request: Pick<SourceRequest, 'publication'>,
  role: string,
): TablePlan {
  if (table === undefined) {
    return { refused: { kind: 'missing', relation: id, reason: 'does not exist', remedy: 'Correct table.include.list, or create it.' } };
  }
  const refused = kindRefusal(table, role);
  if (refused !== undefined) return { refused };
  const { steps: options, ...shape } = planOptions(table, publication, request.publication);
  const ours = { publication: request.publication, ...shape };
  const identities = planIdentities(table, ours);
  if ('reason' in identities) return { refused: identities };
  const isMember = table.relations[0]?.publications.some(({ name }) => name === request.publication) ?? false;
  const name = sqlTable(id);
  const writes = table.relations.filter(({ leaf }) => leaf).map((relation) => relation.id);
  const add: Step = {
    change: {
      action: 'changed',
      object: `publication ${request.publication}: table ${name} added`,
      statement: `ALTER PUBLICATION ${sqlName(request.publication)} ADD TABLE ${name}`,
    },
    note: { kind: 'member', publication: request.publication, table: id },
    writes,
  };
  return {
    // The options first: an identity that is FULL needs the generated columns published.
    steps: [...options.map((step) => ({ ...step, writes })), ...identities.steps, ...(isMember ? [] : [add])],
    publication: shape,
    present: [
      ...identities.present,
      ...(isMember ? [{ action: 'present', object: `table ${name} in publication ${request.publication}` } as const] : []),
    ],
  };
}

/** What no identity and no publication fixes. */
function kindRefusal(table: PublishableTable, role: string): Refusal | undefined {
  const { id, kind, children, relations, keyColumns, version } = table;
  const refusal = (what: Refusal['kind'], reason: string, remedy: string, relation = id): Refusal => ({
    kind: what,
    relation,
    reason,
    remedy,
  });
  if (kind === 'v' || kind === 'm')
    return refusal('kind', 'is a view: the log has changes of tables only', `Name its tables, or ${elsewhere}.`);
  if (kind === 'f') {
    return refusal('kind', 'is a foreign table: its changes are in the log of another server', `Capture them there, or ${elsewhere}.`);
  }
  for (const { id: one, persistence, kind: what } of relations) {
    const name = sqlTable(one) === sqlTable(id) ? 'it' : `its partition ${sqlTable(one)}`;
    if (persistence === 'u') {
      const reason = `cannot be published: ${name} is unlogged, so its changes are not in the log`;
      return refusal('unlogged', reason, `ALTER TABLE ${sqlTable(one)} SET LOGGED; or ${elsewhere}.`, one);
    }
    if (persistence === 't') return refusal('unlogged', `cannot be published: ${name} is temporary`, 'Name a table that lasts.', one);
    if (what === 'f') {
      return refusal('foreign', `cannot be published: ${name} is a foreign table`, `Detach that partition, or ${elsewhere}.`, one);
    }
  }
  if (children.length > 0) {
    return refusal(
      'inherited',
      `is inherited by ${children.map(sqlTable).join(', ')}: a snapshot reads their rows as its own, and then none of their changes comes`,
      `Name the tables that inherit from it instead, or ${elsewhere}.`,
    );
  }
  const generated = version < 18 ? keyColumns.find((column) => relations.some(({ stored }) => stored.includes(column))) : undefined;
  if (generated !== undefined) {
    const reason = `has the generated column ${generated} in its key, which the log of Postgres ${version} does not hold`;
    return refusal('key', reason, `Upgrade to Postgres 18, or ${elsewhere}.`);
  }
  const foreign = relations.find(({ owned }) => !owned);
  if (foreign === undefined) return undefined;
  return refusal(
    'owner',
    `cannot be published by ${role}, who does not own ${sqlTable(foreign.id)} (${table.owner} owns ${formatTableId(id)})`,
    `As a superuser: GRANT ${sqlName(table.owner)} TO ${sqlName(role)}; or run it as the tables' owner (legacyDb.roles.owner).`,
    foreign.id,
  );
}

type Options = OwnPublication & { readonly steps: readonly Step[] };

/** The publication as the table needs it. */
function planOptions(table: PublishableTable, publication: OwnPublication | null, name: string): Options {
  const { version } = table;
  if (publication === null) return { updates: true, deletes: true, viaRoot: true, stored: version >= 18, steps: [] };
  const viaRoot = publication.viaRoot || table.kind === 'p';
  const stored = publication.stored || (version >= 18 && table.relations.some((relation) => relation.stored.length > 0));
  const steps: Step[] = [];
  const set = (option: string, value: string, before: string): void => {
    steps.push({
      change: {
        action: 'changed',
        object: `publication ${name}: ${option} is ${value}`,
        statement: `ALTER PUBLICATION ${sqlName(name)} SET (${option} = ${value})`,
      },
      note: { kind: 'option', publication: name, option, before },
    });
  };
  if (viaRoot !== publication.viaRoot) set('publish_via_partition_root', 'true', 'false');
  if (stored !== publication.stored) set('publish_generated_columns', 'stored', 'none');
  return { ...publication, viaRoot, stored, steps };
}

type Ours = OwnPublication & { readonly publication: string };

function planIdentities(
  table: PublishableTable,
  ours: Ours,
): { readonly steps: readonly Step[]; readonly present: readonly SourceChange[] } | Refusal {
  const { version, relations } = table;
  const steps: Step[] = [];
  const present: SourceChange[] = [];
  for (const relation of relations) {
    const publications = publicationsWith(relation, table, ours);
    const now = identityOf(relation);
    const name = sqlTable(relation.id);
    const refusal = refusalOf(relation, now, publications, version);
    const fitting = fittingIdentity(relation, publications, version);
    if (!relation.leaf) {
      // Its own identity names no row; but a partition that is added later begins with DEFAULT.
      const later = refusalOf(relation, { kind: 'default' }, publications, version);
      if (later === undefined) continue;
      return {
        kind: 'partitions',
        relation: relation.id,
        reason: `cannot be published: UPDATE and DELETE would fail on every partition that is added to ${name} later, where ${later}`,
        remedy: `Give ${name} a primary key, or ${elsewhere}.`,
      };
    }
    if (fitting === undefined || (refusal !== undefined && now.kind !== 'default')) {
      const why = refusal ?? refusalOf(relation, { kind: 'full' }, publications, version) ?? '';
      const whole = refusalOf(relation, { kind: 'full' }, publications, version);
      const reason = now.kind === 'default' && whole !== undefined ? `${why}, nor can its replica identity be FULL: ${whole}` : why;
      const text = `cannot be published: UPDATE and DELETE on ${name} would fail, because ${reason}`;
      return { kind: 'identity', relation: relation.id, reason: text, remedy: fixText(name, fitting) };
    }
    if (now.kind !== 'default' || fitting.kind === 'default') {
      present.push({ action: 'present', object: `replica identity of table ${name}: ${identityText(now)}` });
      continue;
    }
    steps.push({
      change: {
        action: 'changed',
        object: `replica identity of table ${name} to ${identityText(fitting)}`,
        statement: identityStatement(name, fitting),
      },
      note: { kind: 'identity', table: relation.id, set: identitySql(fitting), before: identitySql(now) },
      writes: [relation.id],
    });
  }
  return { steps, present };
}

/** The publications of a relation as they will be with ours. */
function publicationsWith(relation: RelationFacts, table: PublishableTable, ours: Ours): readonly PublicationOfRelation[] {
  const found = relation.publications.find(({ name }) => name === ours.publication);
  const as = ours.viaRoot ? table.id : relation.id;
  const added = { name: ours.publication, everything: false, as, member: table.id, columns: null, filter: [] };
  const { viaRoot, stored, updates, deletes } = ours;
  return [
    ...relation.publications.filter(({ name }) => name !== ours.publication),
    { ...(found ?? added), viaRoot, stored, updates, deletes },
  ];
}

export function identityText(identity: Identity): string {
  switch (identity.kind) {
    case 'full':
      return 'FULL';
    case 'default':
      return 'DEFAULT';
    case 'nothing':
      return 'NOTHING';
    case 'index':
      return `index ${identity.index}`;
    case 'gone':
      return 'an index that is gone';
  }
}

/** Without its end. */
export function identityStatement(name: string, identity: Identity): string {
  return `ALTER TABLE ${name} REPLICA IDENTITY ${identitySql(identity)}`;
}

/** As it is written after REPLICA IDENTITY. */
export function identitySql(identity: Identity): string {
  return identity.kind === 'index' ? `USING INDEX ${sqlName(identity.index)}` : identityText(identity);
}

function fixText(name: string, fitting: Identity | undefined): string {
  if (fitting === undefined) return `Give it a primary key, or a unique index of columns that are NOT NULL; or ${elsewhere}.`;
  return `As the owner: ${identityStatement(name, fitting)};`;
}
