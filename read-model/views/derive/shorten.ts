import type { Node } from '@pgsql/types';
import { columnOf, equalColumns, relationsIn, type Column } from './conditions.ts';
import type { ModelTable } from './query-model.ts';
import { columnRef, names, replace, walk } from '../grammar/sql-tree.ts';
import type { Leaf, Touched } from './touch.ts';

/**
 * A touched query with no more relations than it needs. Where one table has a column that equals the wanted one of another, the other need
 * not be read; where the changed rows' own keys are in another table, neither need they. That gives more keys at most (of rows that have
 * no partner), never fewer.
 */
export type Short = {
  readonly leaves: readonly Leaf[];
  readonly conditions: readonly Node[];
  /** Columns that are equal, of different leaves. */
  readonly classes: readonly (readonly Column[])[];
  readonly key: readonly Node[];
  /** Where the primary key of the changed rows is found. */
  readonly restricted: { readonly id: string; readonly columns: readonly string[] };
  /** Nothing joins the changed rows to the key: any of them touches every key. */
  readonly touchesAll: boolean;
};

type Draft = { leaves: readonly Leaf[]; conditions: Node[]; classes: Column[][]; key: Node[]; restricted: Short['restricted'] };

export function shorten(touched: Touched, key: readonly Node[]): Short {
  const draft: Draft = {
    leaves: touched.leaves,
    ...classify(touched),
    key: key.map((node) => structuredClone(node)),
    restricted: { id: touched.changed.id, columns: tableOf(touched.changed)?.key ?? [] },
  };
  for (const leaf of touched.leaves) dropReplaceable(draft, leaf);
  const wanted = relationsIn(draft.key);
  if ([...wanted].every((id) => id === draft.restricted.id)) keepOnly(draft, new Set([draft.restricted.id]));
  const reached = reach(draft, draft.restricted.id);
  const touchesAll = [...wanted].some((id) => !reached.has(id));
  const needed = new Set([...reached, ...[...wanted].flatMap((id) => [...reach(draft, id)])]);
  keepOnly(draft, needed);
  return { ...draft, touchesAll };
}

export function tableOf(leaf: Leaf): ModelTable | undefined {
  return 'relation' in leaf && leaf.relation.of.kind === 'mirror' ? leaf.relation.of.table : undefined;
}

/** Plain equalities of columns of one type become classes; the others stay conditions. */
function classify({ leaves, conditions }: Touched): { readonly classes: Column[][]; readonly conditions: Node[] } {
  const typeOf = ({ id, column }: Column): string | undefined => {
    const leaf = leaves.find((one) => one.id === id);
    return leaf === undefined ? undefined : tableOf(leaf)?.columns.find(({ name }) => name === column)?.type;
  };
  let classes: Column[][] = [];
  const others: Node[] = [];
  for (const condition of conditions) {
    const equal = equalColumns(condition);
    const type = equal === null ? undefined : typeOf(equal[0]);
    if (equal === null || type === undefined || type !== typeOf(equal[1])) {
      others.push(structuredClone(condition));
      continue;
    }
    const meets = (members: readonly Column[]): boolean => members.some((member) => equal.some((one) => isSame(one, member)));
    const joined = [...classes.filter(meets).flat(), ...equal];
    classes = [
      ...classes.filter((members) => !meets(members)),
      joined.filter((one, index) => joined.findIndex((other) => isSame(one, other)) === index),
    ];
  }
  return { classes, conditions: others };
}

function isSame(a: Column, b: Column): boolean {
  return a.id === b.id && a.column === b.column;
}

/** Drops a mirror all of whose wanted columns are found in others, unless it is what joins these. */
function dropReplaceable(draft: Draft, leaf: Leaf): void {
  if (tableOf(leaf) === undefined || draft.leaves.length === 1) return;
  const others = draft.leaves.filter((one) => one !== leaf);
  if (others.some((one) => pinned(one).has(leaf.id))) return;
  // A filter of its own goes with it: to look its rows up costs as much as to make a key in vain.
  const joining = draft.conditions.filter((condition) => !isOnlyOf(leaf.id, condition));
  const wanted = columnsOf(leaf.id, [draft.key, joining]);
  if (wanted === null) return;
  const substitute = (column: string): Column | undefined =>
    draft.classes.find((members) => members.some((one) => one.id === leaf.id && one.column === column))?.find(({ id }) => id !== leaf.id);
  if (![...wanted].every((column) => substitute(column) !== undefined)) return;
  let { restricted } = draft;
  if (restricted.id === leaf.id) {
    const found = restricted.columns.map(substitute);
    const [home] = found;
    if (home === undefined || !found.every((one) => one?.id === home.id)) return;
    restricted = { id: home.id, columns: found.flatMap((one) => one?.column ?? []) };
  }
  const without: Draft = {
    ...draft,
    leaves: others,
    classes: draft.classes.map((members) => members.filter(({ id }) => id !== leaf.id)),
    restricted,
  };
  const before = reach(draft, draft.restricted.id);
  const conditions = structuredClone(joining);
  const key = structuredClone(draft.key);
  for (const tree of [key, conditions]) substituteAll(tree, leaf.id, substitute);
  const after = reach({ ...without, conditions }, restricted.id);
  if ([...before].some((id) => id !== leaf.id && !after.has(id))) return;
  Object.assign(draft, { ...without, conditions, key });
}

function isOnlyOf(id: string, condition: Node): boolean {
  return [...relationsIn(condition)].every((one) => one === id);
}

function substituteAll(tree: readonly Node[], id: string, by: (column: string) => Column | undefined): void {
  walk(tree, (node) => {
    const column = columnOf(node);
    const other = column?.id === id ? by(column.column) : undefined;
    if (other !== undefined) replace(node, columnRef(other.id, other.column));
    return column === null;
  });
}

/** The columns of a relation that are named; null when it is named as a whole. */
function columnsOf(id: string, tree: unknown): ReadonlySet<string> | null {
  const found = new Set<string>();
  let whole = false;
  walk(tree, (node) => {
    if (!('ColumnRef' in node)) return true;
    const [relation, column] = names(node.ColumnRef.fields);
    if (relation === id && column === undefined) whole = true;
    if (relation === id && column !== undefined) found.add(column);
    return false;
  });
  return whole ? null : found;
}

/** The leaves that another one is written with. */
function pinned(leaf: Leaf): ReadonlySet<string> {
  if ('branches' in leaf) return relationsIn(leaf.branches.map(({ conditions, outputs }) => [conditions, outputs]));
  return leaf.relation.of.kind === 'function' ? relationsIn(leaf.relation.of.node) : new Set();
}

/** The leaves that are joined to one, by whatever way. */
function reach({ leaves, conditions, classes }: Omit<Draft, 'key' | 'restricted'>, from: string): ReadonlySet<string> {
  const edges: ReadonlySet<string>[] = [
    ...classes.map((members) => new Set(members.map(({ id }) => id))),
    ...conditions.map((condition) => relationsIn(condition)),
    ...leaves.map((leaf) => new Set([leaf.id, ...pinned(leaf)])),
  ];
  const reached = new Set([from]);
  for (let size = 0; size < reached.size;) {
    size = reached.size;
    for (const edge of edges) if ([...edge].some((id) => reached.has(id))) for (const id of edge) reached.add(id);
  }
  return reached;
}

function keepOnly(draft: Draft, ids: ReadonlySet<string>): void {
  draft.leaves = draft.leaves.filter(({ id }) => ids.has(id));
  draft.conditions = draft.conditions.filter((condition) => [...relationsIn(condition)].every((id) => ids.has(id)));
  draft.classes = draft.classes.map((members) => members.filter(({ id }) => ids.has(id))).filter((members) => members.length > 0);
}
