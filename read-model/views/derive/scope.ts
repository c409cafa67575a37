import type { Node, SelectStmt } from '@pgsql/types';
import type { Relation } from './query-model.ts';
import { columnRef } from '../grammar/sql-tree.ts';

/** What a name in a query means, at its place. */
export type Entry = {
  /** As the query calls it. */
  readonly alias: string;
  readonly relation: Relation;
  /** Columns by the names that the query may use. */
  readonly columns: ReadonlyMap<string, string>;
  /** It may have columns beside these: of a function, or without a name that is known here. */
  readonly open: boolean;
};

export type Cte = { readonly select: SelectStmt; readonly scope: Scope; readonly columns: readonly string[] };

export type Scope = {
  readonly entries: Entry[];
  /** Columns that USING made one of two; null for those of a FULL JOIN, which are neither. */
  readonly merged: Map<string, Node | null>;
  readonly ctes: Map<string, Cte>;
  readonly parent: Scope | null;
};

export function scopeIn(parent: Scope | null, entries: Entry[] = [], merged = new Map<string, Node | null>()): Scope {
  return { entries, merged, ctes: new Map(), parent };
}

export function findCte(scope: Scope | null, name: string): Cte | undefined {
  if (scope === null) return undefined;
  return scope.ctes.get(name) ?? findCte(scope.parent, name);
}

export type Found =
  | { readonly kind: 'column'; readonly node: Node; readonly entry: Entry | null; readonly column: string }
  /** A whole row, or the value of a function. */
  | { readonly kind: 'row'; readonly node: Node; readonly entry: Entry }
  | { readonly kind: 'unknown' };

/** What `name` alone means: a column of the nearest level that has one; failing that, a relation. */
export function findName(scope: Scope | null, name: string): Found {
  for (let level = scope; level !== null; level = level.parent) {
    const merged = level.merged.get(name);
    if (merged === null) return { kind: 'unknown' };
    if (merged !== undefined) return { kind: 'column', node: structuredClone(merged), entry: null, column: name };
    const [hit, ...more] = level.entries.filter(({ columns }) => columns.has(name));
    if (more.length > 0) return { kind: 'unknown' };
    if (hit !== undefined) return columnOf(hit, name);
    const whole = level.entries.find(({ alias }) => alias === name);
    if (whole !== undefined && whole.open) return { kind: 'row', node: columnRef(whole.relation.id), entry: whole };
    if (level.entries.some(({ open }) => open)) return { kind: 'unknown' };
  }
  const row = findRelation(scope, name);
  return row === undefined ? { kind: 'unknown' } : { kind: 'row', node: columnRef(row.relation.id), entry: row };
}

/** What `alias.name` means. */
export function findQualified(scope: Scope | null, alias: string, name: string): Found {
  const entry = findRelation(scope, alias);
  return entry === undefined ? { kind: 'unknown' } : columnOf(entry, name);
}

function columnOf(entry: Entry, name: string): Found {
  const { id } = entry.relation;
  const column = entry.columns.get(name);
  if (column !== undefined) return { kind: 'column', node: columnRef(id, column), entry, column };
  if (entry.relation.of.kind !== 'function') return { kind: 'unknown' };
  return name === entry.alias
    ? { kind: 'row', node: columnRef(id), entry }
    : { kind: 'column', node: columnRef(id, name), entry, column: name };
}

function findRelation(scope: Scope | null, alias: string): Entry | undefined {
  for (let level = scope; level !== null; level = level.parent) {
    const found = level.entries.find((entry) => entry.alias === alias);
    if (found !== undefined) return found;
  }
  return undefined;
}
