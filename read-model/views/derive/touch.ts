import type { Node } from '@pgsql/types';
import type { Expression, From, Query, Relation, Subquery } from './query-model.ts';
import { isJoining, isSafe, neededBy } from './conditions.ts';
import { columnRef, names, plain, replace, walk } from '../grammar/sql-tree.ts';

/**
 * From a query to queries that give those of its output rows that can have changed when rows of one of its mirrors have. Each asks for what a
 * row cannot lose while it stays the same row: its **core**.
 *
 * Core are the columns of relations that no outer join extends with nulls, and what is made of them alone. `relaxed` is a query without
 * anything else: the core relations, joined by the conditions that speak of the core alone. So every row of the query has its core there.
 * `touches` gives, for each occurrence of a mirror, the same with the way to that occurrence added, by inner joins.
 *
 * Why it misses nothing. Let a joined row be there before the changes and not after, or the other way round. Of its parts take the
 * smallest that comes or goes. Either it is a changed row of a mirror, and the row is found from it. Or it is a row extended with nulls:
 * then what came or went is its other side, which was not extended, and the row's core is found from a changed row in there, by the
 * join's own condition. Where changed rows meet in one batch, one of them may be gone before the other comes; but each is asked for with
 * the core alone, which both had: so either the state before or the state after holds them together. Conditions on anything but the core
 * could be true before for one and after for the other; that is why none is kept.
 */

/** One relation of the flat query that is made: nothing but inner joins. */
export type Leaf = { readonly id: string; readonly relation: Relation } | { readonly id: string; readonly branches: readonly Flat[] };

/** Gives a column of a relation in terms of leaves; null for what is not core. */
type Columns = (column: string | undefined) => Node | null;
type Env = ReadonlyMap<string, Columns>;

export type Flat = { readonly leaves: readonly Leaf[]; readonly conditions: readonly Node[]; readonly outputs: readonly (Node | null)[] };
/** `changed` is the leaf whose changed rows are asked for. */
export type Touched = Flat & { readonly changed: Leaf & { readonly relation: Relation } };

type Part = { readonly leaves: readonly Leaf[]; readonly conditions: readonly Node[]; readonly env: Env };
type TouchedPart = Part & { readonly changed: Touched['changed'] };

/** The flat queries that give the output rows that can have changed, one for each occurrence of a mirror. */
export function touches(query: Query, env: Env = new Map()): readonly Touched[] {
  if (query.kind === 'set') {
    const limited = (touched: Touched): Touched => ({ ...touched, outputs: touched.outputs.map(() => null) });
    const inside = query.branches.flatMap((branch) => touches(branch, env));
    const around = touchesOfSubqueries(query.others, nothing(env)).map((part) => finish(query, part));
    return [...(query.limited ? inside.map(limited) : inside), ...around];
  }
  const needed = neededBy(query.where);
  const inFrom = touchesOfFrom(query.from, env, needed);
  const elsewhere = [...query.where, ...query.outputs.map(({ value }) => value), ...query.others];
  const inSubqueries = touchesOfSubqueries(elsewhere, relaxed(query.from, env, needed));
  return [...inFrom, ...inSubqueries].map((part) => finish(query, part));
}

/** Adds WHERE and outputs, as far as they are core. */
function finish(query: Query, part: TouchedPart): Touched {
  return { ...select(query, part), changed: part.changed };
}

function select(query: Query, part: Part): Flat {
  const where = query.kind === 'select' ? query.where : [];
  return {
    leaves: part.leaves,
    conditions: [...part.conditions, ...kept(where, part.env)],
    outputs: query.outputs.map(({ value }) => (isStable(query, value) ? resolve(value, part.env) : null)),
  };
}

/** Whether an output row that stays the same row keeps this value, whatever other rows do. */
export function isStable(query: Query, { node }: Expression): boolean {
  if (query.kind === 'set') return !query.limited;
  // Without GROUP BY there is one row, whatever rows there are.
  if (query.aggregates && query.grouped === null) return false;
  const text = plain(node);
  return query.apart.every((partition) => partition.some((one) => one.certain && plain(one.node) === text));
}

function nothing(env: Env): Part {
  return { leaves: [], conditions: [], env };
}

/** Puts `part` beside what comes before it. */
function beside(before: Part, part: Part, env: Env = part.env): Part {
  return { leaves: [...before.leaves, ...part.leaves], conditions: [...before.conditions, ...part.conditions], env };
}

function relaxed(from: From, env: Env, needed: Needed): Part {
  if (from.kind === 'nothing') return nothing(env);
  if (from.kind === 'relation') return relaxedRelation(from.relation, env);
  const { left, right, on } = from;
  const type = typeOf(from, needed);
  if (type === 'left') return relaxed(left, env, needed);
  if (type === 'right') return relaxed(right, env, needed);
  if (type === 'full') return nothing(env);
  const both = union(needed, neededBy(on));
  const first = relaxed(left, env, both);
  return filtered(beside(first, relaxed(right, first.env, both)), on);
}

/** Relations of which a row must be there for a condition to be true. */
type Needed = ReadonlySet<string>;

/** What an outer join is once rows that it extended with nulls do not count. */
function typeOf({ type, left, right }: From & { readonly kind: 'join' }, needed: Needed): 'inner' | 'left' | 'right' | 'full' {
  const keepsLeft = type === 'left' || type === 'full';
  const keepsRight = type === 'right' || type === 'full';
  const rightNull = keepsLeft && !holds(right, needed);
  const leftNull = keepsRight && !holds(left, needed);
  if (rightNull && leftNull) return 'full';
  return rightNull ? 'left' : leftNull ? 'right' : 'inner';
}

function holds(from: From, needed: Needed): boolean {
  if (from.kind === 'nothing') return false;
  return from.kind === 'relation' ? needed.has(from.relation.id) : holds(from.left, needed) || holds(from.right, needed);
}

function union(a: Needed, b: Needed): Needed {
  return new Set([...a, ...b]);
}

function filtered(part: Part, on: readonly Expression[]): Part {
  return { ...part, conditions: [...part.conditions, ...kept(on, part.env)] };
}

function relaxedRelation(relation: Relation, env: Env): Part {
  const { id, of } = relation;
  if (of.kind === 'mirror') return { leaves: [{ id, relation }], conditions: [], env: withRelation(env, id, plainColumns(id)) };
  if (of.kind === 'function') {
    const inputs = resolve(of.inputs, env);
    if (inputs === null || of.inputs.subqueries.length > 0 || mentions(inputs) !== mentions(of.inputs.node)) return nothing(env);
    return { leaves: [{ id, relation }], conditions: [], env: withRelation(env, id, plainColumns(id)) };
  }
  const flat = relaxedQuery(of.query, env);
  if (flat === null) return nothing(env);
  return { leaves: flat.leaves, conditions: flat.conditions, env: withRelation(env, id, outputColumns(of.columns, flat.outputs)) };
}

/** Null where nothing is core: then the query may have a row whatever there is, or says nothing of which. */
function relaxedQuery(query: Query, env: Env): Flat | null {
  if (query.kind === 'select') {
    if (query.aggregates && query.grouped === null) return null;
    const flat = select(query, relaxed(query.from, env, neededBy(query.where)));
    return flat.outputs.every((output) => output === null) ? null : flat;
  }
  if (query.limited) return null;
  const branches = query.branches.map((branch) => relaxedQuery(branch, env));
  const whole = branches.flatMap((branch) => branch ?? []);
  if (whole.length < branches.length) return null;
  const { id } = query;
  const outputs = query.outputs.map((_, index) =>
    whole.every((branch) => (branch.outputs[index] ?? null) !== null) ? columnRef(id, `c${index}`) : null,
  );
  if (outputs.every((output) => output === null)) return null;
  return { leaves: [{ id, branches: whole }], conditions: [], outputs };
}

function touchesOfFrom(from: From, env: Env, needed: Needed): readonly TouchedPart[] {
  if (from.kind === 'nothing') return [];
  if (from.kind === 'relation') return touchesOfRelation(from.relation, env);
  const { left, right, on } = from;
  const type = typeOf(from, needed);
  // Rows that the condition has joined are those for which it was true.
  const joining = union(needed, neededBy(on));
  const before = relaxed(left, env, joining);
  const after = relaxed(right, type === 'right' || type === 'full' ? env : before.env, joining);
  const ofLeft = touchesOfFrom(left, env, joining).map((touched) =>
    joined(touched, beside(touched, relaxed(right, type === 'right' ? env : touched.env, joining), merged(touched.env, after.env)), on),
  );
  const ofRight = touchesOfFrom(right, type === 'right' || type === 'full' ? env : before.env, joining).map((touched) =>
    joined(touched, beside(before, touched, merged(before.env, touched.env)), on),
  );
  const ofOn = touchesOfSubqueries(on, filtered(beside(before, after, merged(before.env, after.env)), on));
  const within = (touched: readonly TouchedPart[], core: Env): readonly TouchedPart[] => touched.map((one) => ({ ...one, env: core }));
  if (type === 'inner') return [...ofLeft, ...ofRight, ...ofOn];
  if (type === 'left') return [...touchesOfFrom(left, env, needed), ...within([...ofRight, ...ofOn], relaxed(left, env, needed).env)];
  if (type === 'right') return [...touchesOfFrom(right, env, needed), ...within([...ofLeft, ...ofOn], relaxed(right, env, needed).env)];
  return within([...touchesOfFrom(left, env, needed), ...touchesOfFrom(right, env, needed), ...ofOn], env);
}

function joined(touched: TouchedPart, part: Part, on: readonly Expression[]): TouchedPart {
  return { ...filtered(part, on), changed: touched.changed };
}

function merged(a: Env, b: Env): Env {
  return new Map([...a, ...b]);
}

function touchesOfRelation(relation: Relation, env: Env): readonly TouchedPart[] {
  const { id, of } = relation;
  if (of.kind === 'mirror') {
    const leaf = { id, relation };
    return [{ leaves: [leaf], conditions: [], env: withRelation(env, id, plainColumns(id)), changed: leaf }];
  }
  if (of.kind === 'function') return touchesOfSubqueries([of.inputs], nothing(env));
  return touches(of.query, env).map(({ leaves, conditions, outputs, changed }) => ({
    leaves,
    conditions,
    changed,
    env: withRelation(env, id, outputColumns(of.columns, outputs)),
  }));
}

/** Rows of subqueries touch the rows that they are asked for: beside the core of these, those that the subquery finds. */
function touchesOfSubqueries(expressions: readonly Expression[], around: Part): readonly TouchedPart[] {
  const subqueries: readonly Subquery[] = expressions.flatMap((expression) => expression.subqueries);
  return subqueries.flatMap(({ query, equals }) =>
    touches(query, around.env).map((touched): TouchedPart => {
      const link = equals === null ? [] : links(resolve(equals, around.env), touched.outputs);
      return {
        leaves: [...around.leaves, ...touched.leaves],
        conditions: [...around.conditions, ...touched.conditions, ...link],
        env: around.env,
        changed: touched.changed,
      };
    }),
  );
}

/** `x IN (SELECT y …)` is true by rows that have x = y, and by no others. */
function links(tested: Node | null, outputs: readonly (Node | null)[]): readonly Node[] {
  if (tested === null) return [];
  const values = 'RowExpr' in tested ? (tested.RowExpr.args ?? []) : [tested];
  return values.flatMap((value, index) => {
    const found = outputs[index] ?? null;
    return found === null ? [] : [equality(value, found)];
  });
}

function equality(lexpr: Node, rexpr: Node): Node {
  return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }], lexpr, rexpr } };
}

/** Conditions that speak of the core alone, and cannot fail where the query itself would not have asked. */
function kept(conditions: readonly Expression[], env: Env): readonly Node[] {
  return conditions.flatMap((condition) => {
    const node = resolve(condition, env);
    return node !== null && (isSafe(node) || isJoining(node)) ? [node] : [];
  });
}

/** The expression in terms of leaves; null where it is not made of the core alone. */
function resolve({ node, certain }: Expression, env: Env): Node | null {
  if (!certain) return null;
  const copy = structuredClone(node);
  let core = true;
  walk(copy, (inner) => {
    if (!('ColumnRef' in inner)) return true;
    const [id = '', column] = names(inner.ColumnRef.fields);
    const by = env.get(id)?.(column) ?? null;
    if (by === null) core = false;
    else replace(inner, structuredClone(by));
    return false;
  });
  return core ? copy : null;
}

/** The relations' columns that an expression names, as a text. */
function mentions(node: Node): string {
  const found: string[] = [];
  walk(node, (inner) => {
    if ('ColumnRef' in inner) found.push(names(inner.ColumnRef.fields).join('.'));
    return true;
  });
  return found.join(' ');
}

function withRelation(env: Env, id: string, columns: Columns): Env {
  return new Map([...env, [id, columns]]);
}

function plainColumns(id: string): Columns {
  return (column) => (column === undefined ? columnRef(id) : columnRef(id, column));
}

function outputColumns(columns: readonly string[], outputs: readonly (Node | null)[]): Columns {
  return (column) => outputs[columns.indexOf(column ?? '')] ?? null;
}
