import type { PublicationOfRelation, RelationFacts } from './published-facts.ts';

/** What a table's log entries name an old row by. */
export type Identity =
  | { readonly kind: 'full' | 'default' | 'nothing' }
  | { readonly kind: 'index'; readonly index: string; readonly columns: readonly string[] }
  /** USING INDEX, and that index was dropped since. */
  | { readonly kind: 'gone' };

/** As the table has it now. */
export function identityOf({ identity, identityIndex }: RelationFacts): Identity {
  if (identity === 'f') return { kind: 'full' };
  if (identity === 'd') return { kind: 'default' };
  if (identity === 'n') return { kind: 'nothing' };
  return identityIndex === null ? { kind: 'gone' } : { kind: 'index', index: identityIndex.name, columns: identityIndex.columns };
}

/**
 * Why Postgres refuses UPDATE and DELETE of a table that has this identity and is in these publications; undefined where it does not. These are
 * the rules of its CheckCmdReplicaIdentity: generated columns count from version 18 on. Pure.
 */
export function refusalOf(
  relation: RelationFacts,
  identity: Identity,
  publications: readonly PublicationOfRelation[],
  version: number,
): string | undefined {
  for (const publication of publications) {
    if (!publication.updates && !publication.deletes) continue;
    const refusal = refusalBy(relation, identity, publication, version);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function refusalBy(
  { key, stored, virtual }: RelationFacts,
  identity: Identity,
  publication: PublicationOfRelation,
  version: number,
): string | undefined {
  const { name, columns, filter } = publication;
  if (identity.kind === 'nothing') return 'its replica identity is NOTHING';
  if (identity.kind === 'gone') return 'the index that was its replica identity is gone';
  if (identity.kind === 'default' && key === null) return 'it has no primary key (or only a deferrable one) to serve as replica identity';
  if (identity.kind === 'full') {
    if (columns !== null) return `publication ${name} publishes a list of its columns, and its replica identity is FULL`;
    if (version < 18) return undefined;
    if (virtual.length > 0)
      return `its replica identity is FULL, and ${listOf(virtual)} is a virtual generated column, which no publication holds`;
    if (stored.length > 0 && !publication.stored) {
      return `its replica identity is FULL, and publication ${name} does not publish the generated column ${listOf(stored)}`;
    }
    return undefined;
  }
  const named = identity.kind === 'index' ? identity.columns : (key?.columns ?? []);
  const unfiltered = filter.find((column) => !named.includes(column));
  if (unfiltered !== undefined)
    return `the row filter of publication ${name} reads ${unfiltered}, which its replica identity does not hold`;
  const left = columns === null ? undefined : named.find((column) => !columns.includes(column));
  if (left !== undefined) return `publication ${name} leaves out ${left}, which its replica identity holds`;
  if (columns !== null || version < 18 || publication.stored) return undefined;
  const generated = named.find((column) => stored.includes(column));
  return generated === undefined
    ? undefined
    : `its replica identity holds the generated column ${generated}, which publication ${name} does not publish`;
}

/**
 * The identity that logs most of an old row and lets UPDATE and DELETE through: the whole row, else the primary key, else a unique index.
 * Undefined: there is none. Pure.
 */
export function fittingIdentity(
  relation: RelationFacts,
  publications: readonly PublicationOfRelation[],
  version: number,
): Identity | undefined {
  const candidates: readonly Identity[] = [
    { kind: 'full' },
    { kind: 'default' },
    ...relation.unique.map(({ name, columns }) => ({ kind: 'index', index: name, columns }) as const),
  ];
  return candidates.find((identity) => refusalOf(relation, identity, publications, version) === undefined);
}

function listOf(columns: readonly string[]): string {
  return columns.join(', ');
}
