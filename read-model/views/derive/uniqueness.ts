import type { Node } from '@pgsql/types';
import { columnOf, relationsIn } from './conditions.ts';
import type { Expression, From, Query, Relation } from './query-model.ts';
import { names, walk } from '../grammar/sql-tree.ts';

/**
 * Whether a query gives each key once, as far as that can be proven: what a key determines is followed through equalities, unique keys
 * and groups.
 */
export function isUnique(query: Query, key: readonly number[]): boolean {
  if (query.kind === 'set') return query.distinct && query.outputs.every((_, index) => key.includes(index));
  if (query.single) return true;
  if (query.outputs.some(({ value }) => value.multiplies)) return false;
  if (query.aggregates && query.grouped === null) return true;
  const known = new Known();
  for (const index of key) known.add(columnText(query.outputs[index]?.value.node));
  const relations = relationsOf(query.from);
  for (let size = -1; size < known.size;) {
    size = known.size;
    for (const condition of query.where) known.follow(condition);
    spread(query.from, known);
    for (const relation of relations) if (isDetermined(relation, known)) known.addRelation(relation.id);
  }
  if (query.grouped !== null) return query.grouped.every((expression) => known.hasAll(expression));
  if (query.distinct && query.outputs.every(({ value }, index) => key.includes(index) || known.hasAll(value))) return true;
  return relations.every(({ id }) => known.hasRelation(id));
}

/** Columns and relations of which a key allows one value, one row. */
class Known {
  readonly #texts = new Set<string>();

  get size(): number {
    return this.#texts.size;
  }

  add(text: string | null): void {
    if (text !== null) this.#texts.add(text);
  }

  addRelation(id: string): void {
    this.#texts.add(`${id}.*`);
  }

  hasRelation(id: string): boolean {
    return this.#texts.has(`${id}.*`);
  }

  hasColumn(id: string, column: string): boolean {
    return this.hasRelation(id) || this.#texts.has(`${id}.${column}`);
  }

  has(node: Node | undefined): boolean {
    let all = true;
    walk(node, (inner) => {
      if (!('ColumnRef' in inner)) return true;
      const [id = '', column = ''] = names(inner.ColumnRef.fields);
      all &&= this.hasColumn(id, column);
      return false;
    });
    return all;
  }

  hasAll({ node, certain }: Expression): boolean {
    return certain && this.has(node);
  }

  /** Of `a = b`, which always holds: one side makes the other known. */
  follow({ node, certain }: Expression): void {
    if (!certain || !('A_Expr' in node) || node.A_Expr.kind !== 'AEXPR_OP' || names(node.A_Expr.name).join('') !== '=') return;
    const { lexpr, rexpr } = node.A_Expr;
    if (this.has(lexpr)) this.add(columnText(rexpr));
    if (this.has(rexpr)) this.add(columnText(lexpr));
  }
}

function columnText(node: Node | undefined): string | null {
  const column = columnOf(node);
  return column === null ? null : `${column.id}.${column.column}`;
}

function relationsOf(from: From): readonly Relation[] {
  if (from.kind === 'nothing') return [];
  return from.kind === 'relation' ? [from.relation] : [...relationsOf(from.left), ...relationsOf(from.right)];
}

function isDetermined({ id, of }: Relation, known: Known): boolean {
  if (of.kind === 'mirror') return of.table.unique.some((columns) => columns.every((column) => known.hasColumn(id, column)));
  if (of.kind === 'function') return false;
  const found = of.columns.flatMap((column, index) => (known.hasColumn(id, column) ? [index] : []));
  return isUnique(of.query, found);
}

function spread(from: From, known: Known): void {
  if (from.kind !== 'join') return;
  const { left, right, type, on } = from;
  if (type === 'inner') {
    for (const condition of on) known.follow(condition);
    spread(left, known);
    spread(right, known);
  } else if (type !== 'full') {
    const [kept, extended] = type === 'left' ? [left, right] : [right, left];
    spread(kept, known);
    extend(extended, on, known);
  }
}

/** The one relation that an outer join adds is determined, if what it is joined to is. */
function extend(from: From, on: readonly Expression[], known: Known): void {
  if (from.kind !== 'relation') return;
  const { relation } = from;
  const matched = new Known();
  for (const condition of on) {
    const outside = [...relationsIn(condition.node)].filter((id) => id !== relation.id);
    // Whether it matches must not turn on a row that may be another one.
    if (!condition.certain || !outside.every((id) => known.hasRelation(id) || mentionsOnly(condition.node, id, known))) return;
    if (!('A_Expr' in condition.node) || condition.node.A_Expr.kind !== 'AEXPR_OP' || names(condition.node.A_Expr.name).join('') !== '=')
      continue;
    const { lexpr, rexpr } = condition.node.A_Expr;
    for (const [one, other] of [
      [lexpr, rexpr],
      [rexpr, lexpr],
    ]) {
      if (columnOf(one)?.id === relation.id && known.has(other)) matched.add(columnText(one));
    }
  }
  if (isDetermined(relation, matched)) known.addRelation(relation.id);
}

function mentionsOnly(node: Node, id: string, known: Known): boolean {
  let all = true;
  walk(node, (inner) => {
    const column = columnOf(inner);
    if (column !== null && column.id === id) all &&= known.hasColumn(id, column.column);
    return column === null;
  });
  return all;
}
