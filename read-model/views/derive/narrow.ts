import type { JoinExpr, Node, SelectStmt } from '@pgsql/types';
import { escapeIdentifier as quoted } from 'pg';
import { columnOf, equalColumns, type Column } from './conditions.ts';
import type { Expression, From, Query, Relation } from './query-model.ts';
import { isStable } from './touch.ts';
import { selectOf, type Grammar } from '../grammar/sql-tree.ts';

/**
 * Narrows a query to the keys that are asked for, so that it is run once for many of them. By itself the planner takes `key = ANY ($1)` into joins, but
 * not by an equality into what is grouped: there the condition has to be written again.
 *
 * A column is **bound** to the key if it is of the keys asked for in each row that is wanted, as far as its relation has a row there:
 *
 * - the key's own column, and what WHERE holds equal to a bound one;
 * - what the condition of a join holds equal to a bound one: on both sides of an inner join, on the side of an outer join that may be null.
 *
 * A relation's rows whose bound column is not of the keys may be left out before any join. They are in no wanted row. An outer join may then extend a row
 * with nulls that it did not extend before; but that row's own bound column was equal to what was left out, so it is not wanted either.
 */

/** A condition that narrows, and the clause that it is to be part of. */
type Addition = { readonly to: Place; readonly column: string; readonly condition: Node };
/** A clause in which a condition on a relation is as good as leaving its rows out before any join. */
type Place = { readonly kind: 'where'; readonly select: SelectStmt } | { readonly kind: 'on'; readonly join: JoinExpr };
/** What is written for a column that is bound to a column of the key, by position. */
type Write = (alias: string, column: string, key: number) => Node | null;
/** Columns that are bound, as `id.column`, and to which column of the key. */
type Bound = Map<string, number>;

/**
 * Writes the conditions into the tree that the query was bound from. Their parameters are arrays: `$1` for the key's first column and so on. False, with
 * nothing written, if a part of the query would be made for all keys nevertheless.
 *
 * @param keyIndexes places of the key's columns among the query's
 * @param types of the key's columns, as SQL
 */
export function narrow(grammar: Grammar, query: Query, keyIndexes: readonly number[], types: readonly string[]): boolean {
  const write: Write = (alias, column, key) => {
    const sql = `SELECT ${quoted(alias)}.${quoted(column)} = ANY ($${key + 1}::${types[key] ?? 'text'}[])`;
    const [target] = selectOf(grammar.parse(sql).stmts?.[0]?.stmt)?.targetList ?? [];
    return target !== undefined && 'ResTarget' in target ? (target.ResTarget.val ?? null) : null;
  };
  const additions = narrowed(query, new Map(keyIndexes.map((index, key) => [index, key])), write, true);
  if (additions === null) return false;
  for (const { to, condition } of additions) {
    if (to.kind === 'where') to.select.whereClause = both(to.select.whereClause, condition);
    else to.join.quals = both(to.join.quals, condition);
  }
  return true;
}

/**
 * Only rows are wanted whose outputs, by position, are of these columns of the key. Null where part of the query is made for all keys.
 *
 * @param alone nothing that it is joined to makes its rows fewer
 */
function narrowed(query: Query, wanted: ReadonlyMap<number, number>, write: Write, alone: boolean): readonly Addition[] | null {
  if (query.kind === 'set') {
    const branches = query.limited ? [null] : query.branches.map((branch) => narrowed(branch, wanted, write, alone || wanted.size > 0));
    return branches.includes(null) ? null : branches.flatMap((branch) => branch ?? []);
  }
  const { source, from } = query;
  const bound: Bound = new Map();
  for (const [index, key] of wanted) {
    const value = query.outputs[index]?.value;
    const column = value?.certain === true && isStable(query, value) ? columnOf(value.node) : null;
    if (column !== null) bound.set(textOf(column), key);
  }
  if (source === null || asksAside(query) || (bound.size === 0 && (alone || isHeavy(query)))) return null;
  const where: Place = { kind: 'where', select: source };
  const relations = relationsOf(from);
  // The outputs themselves, also of a side that may be null: with nulls the row is not wanted.
  const own = additionsOf(relations, bound, where, write);
  const ofOutputs = new Set(bound.keys());
  follow(query, relations, bound);
  const placed = placedOf(from, where, bound, write);
  return placed === null
    ? null
    : [...own, ...placed.filter(({ to, column }) => to.kind === 'on' || to.select !== source || !ofOutputs.has(column))];
}

/** Whether it has an `IN (SELECT …)` of what is made apart: with one key it would be made for that key alone. */
function asksAside({ from, where, outputs, others }: Query & { readonly kind: 'select' }): boolean {
  const on = (tree: From): readonly Expression[] => (tree.kind === 'join' ? [...tree.on, ...on(tree.left), ...on(tree.right)] : []);
  return [...where, ...on(from), ...outputs.map(({ value }) => value), ...others].some(({ subqueries }) =>
    subqueries.some(({ query, equals }) => equals !== null && isHeavy(query)),
  );
}

/** Finds all that is bound, by what is. */
function follow({ from, where }: Query & { readonly kind: 'select' }, relations: readonly Relation[], bound: Bound): void {
  const typeOf = ({ id, column }: Column): string | null => {
    const relation = relations.find((one) => one.id === id);
    return relation === undefined ? null : typeIn(relation, column);
  };
  const equal = ({ node, certain }: Expression, mayBind: (id: string) => boolean): void => {
    const columns = certain ? equalColumns(node) : null;
    if (columns === null) return;
    const [type, other] = columns.map(typeOf);
    // Of two types the equality may be another one than that of the keys.
    if (type === null || type === undefined || type !== other) return;
    for (const [one, to] of [columns, columns.toReversed()]) {
      const key = one === undefined ? undefined : bound.get(textOf(one));
      if (key !== undefined && to !== undefined && mayBind(to.id) && !bound.has(textOf(to))) bound.set(textOf(to), key);
    }
  };
  const join = (tree: From): void => {
    if (tree.kind !== 'join') return;
    const { left, right, type, on } = tree;
    const [ofLeft, ofRight] = [left, right].map((side) => new Set(relationsOf(side).map(({ id }) => id)));
    for (const condition of on) {
      equal(condition, (id) =>
        type === 'inner' ? true : type === 'left' ? ofRight?.has(id) === true : type === 'right' && ofLeft?.has(id) === true,
      );
    }
    join(left);
    join(right);
  };
  for (let size = -1; size < bound.size;) {
    size = bound.size;
    for (const condition of where) equal(condition, () => true);
    join(from);
  }
}

/** Puts conditions where they leave a relation's rows out before any join, and narrows the subqueries. Null where one is made for all keys. */
function placedOf(from: From, place: Place | null, bound: Bound, write: Write): readonly Addition[] | null {
  if (from.kind === 'nothing') return [];
  if (from.kind === 'join') {
    const { left, right, type, source } = from;
    const on: Place | null = source === null || source.usingClause !== undefined ? null : { kind: 'on', join: source };
    const mayBeNull = (side: 'left' | 'right'): boolean => type === 'full' || (type !== 'inner' && type !== side);
    const sides = ([left, right] as const).map((tree, index) => {
      const isNullable = mayBeNull(index === 0 ? 'left' : 'right');
      return placedOf(tree, type === 'full' ? null : isNullable ? on : place, bound, write);
    });
    return sides.includes(null) ? null : sides.flatMap((side) => side ?? []);
  }
  const { relation } = from;
  const { id, of } = relation;
  const beside = place === null ? [] : additionsOf([relation], bound, place, write);
  if (of.kind !== 'query') return beside;
  const wanted = new Map(
    of.columns.flatMap((column, index) => {
      const key = bound.get(textOf({ id, column }));
      return key === undefined ? [] : [[index, key] as const];
    }),
  );
  // A WITH may be named by others, who want other rows of it: its condition is what the planner takes into it.
  if (of.from === 'with') return isHeavy(of.query) && (beside.length === 0 || !takesIn(of.query, wanted)) ? null : beside;
  const within = narrowed(of.query, wanted, write, false);
  // What is lateral is asked for each row before it.
  return within === null && of.from === 'lateral' ? beside : within;
}

function additionsOf(relations: readonly Relation[], bound: Bound, to: Place, write: Write): readonly Addition[] {
  return relations.flatMap(({ id, named }) =>
    [...(named?.columns ?? [])].flatMap(([column, visible]) => {
      const key = bound.get(textOf({ id, column }));
      const condition = key === undefined || named === null ? null : write(named.alias, visible, key);
      return condition === null ? [] : [{ to, column: textOf({ id, column }), condition }];
    }),
  );
}

/** Whether the planner makes it apart from what it is joined to; or anything in it. */
function isHeavy(query: Query): boolean {
  if (query.kind === 'set') return query.distinct || query.limited || query.branches.some(isHeavy);
  const { grouped, aggregates, distinct, apart, from } = query;
  if (grouped !== null || aggregates || distinct || apart.length > 0) return true;
  return relationsOf(from).some(({ of }) => of.kind === 'query' && of.from !== 'lateral' && isHeavy(of.query));
}

/** Whether a condition on these outputs, put beside it, reaches all that it is made of. */
function takesIn(query: Query, wanted: ReadonlyMap<number, number>): boolean {
  if (query.kind === 'set') return !query.limited && query.branches.every((branch) => takesIn(branch, wanted));
  if (relationsOf(query.from).some(({ of }) => of.kind === 'query' && of.from !== 'lateral' && isHeavy(of.query))) return false;
  return [...wanted.keys()].some((index) => {
    const value = query.outputs[index]?.value;
    return value?.certain === true && isStable(query, value);
  });
}

/** The type of a relation's column, as SQL; null where it is not one of a mirror. */
function typeIn({ of }: Relation, column: string): string | null {
  if (of.kind === 'mirror') return of.table.columns.find(({ name }) => name === column)?.type ?? null;
  return of.kind === 'function' ? null : typeOfOutput(of.query, of.columns.indexOf(column));
}

function typeOfOutput(query: Query, index: number): string | null {
  if (query.kind === 'set') {
    const [first = null, ...others] = query.branches.map((branch) => typeOfOutput(branch, index));
    return others.every((type) => type === first) ? first : null;
  }
  const column = columnOf(query.outputs[index]?.value.node);
  const relation = column === null ? undefined : relationsOf(query.from).find(({ id }) => id === column.id);
  return relation === undefined || column === null ? null : typeIn(relation, column.column);
}

function relationsOf(from: From): readonly Relation[] {
  if (from.kind === 'nothing') return [];
  return from.kind === 'relation' ? [from.relation] : [...relationsOf(from.left), ...relationsOf(from.right)];
}

/** As Postgres' own grammar puts conditions together: in one list. */
function both(present: Node | undefined, condition: Node): Node {
  if (present === undefined) return condition;
  const list = 'BoolExpr' in present && present.BoolExpr.boolop === 'AND_EXPR' ? (present.BoolExpr.args ?? []) : [present];
  return { BoolExpr: { boolop: 'AND_EXPR', args: [...list, condition] } };
}

function textOf({ id, column }: Column): string {
  return JSON.stringify([id, column]);
}
