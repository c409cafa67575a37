import type { JoinExpr, Node, RangeVar } from '@pgsql/types';
import { conjuncts, type Binder, type StarColumn } from './binder.ts';
import type { Expression, From, Query, Relation } from './query-model.ts';
import { findCte, scopeIn, type Entry, type Scope } from './scope.ts';
import { columnRef, names, selectOf } from '../grammar/sql-tree.ts';

/** A part of FROM: its tree, the columns that a star means (null: not known), and what is merged by USING. */
type Part = {
  readonly tree: From;
  readonly entries: readonly Entry[];
  readonly columns: readonly StarColumn[] | null;
  readonly merged: ReadonlyMap<string, Node | null>;
};

const nothing: Part = { tree: { kind: 'nothing' }, entries: [], columns: [], merged: new Map() };

/** Binds a FROM clause; what it names can be seen in `scope` from then on. */
export function bindFromList(
  binder: Binder,
  items: readonly Node[],
  scope: Scope,
): { readonly tree: From; readonly columns: readonly StarColumn[] | null } {
  let all = nothing;
  for (const item of items) {
    const part = bindItem(binder, item, scope);
    all = {
      tree:
        all.tree.kind === 'nothing' ? part.tree : { kind: 'join', type: 'inner', left: all.tree, right: part.tree, on: [], source: null },
      entries: [...all.entries, ...part.entries],
      columns: all.columns === null || part.columns === null ? null : [...all.columns, ...part.columns],
      merged: new Map(),
    };
    for (const [name, node] of part.merged) scope.merged.set(name, node);
  }
  return all;
}

/** Enters what it binds into `scope` as it goes, for what is lateral to it. */
function bindItem(binder: Binder, item: Node, scope: Scope): Part {
  if ('JoinExpr' in item) return bindJoin(binder, item.JoinExpr, scope);
  const entry = bindRelation(binder, item, scope);
  if (entry === null) return nothing;
  scope.entries.push(entry);
  const { of } = entry.relation;
  const columns = [...entry.columns].map(([name, column]) => ({
    alias: entry.alias === '' ? null : entry.alias,
    name,
    hidden: of.kind === 'mirror' && of.table.hidden.has(column),
  }));
  return {
    tree: { kind: 'relation', relation: entry.relation },
    entries: [entry],
    columns: entry.open ? null : columns,
    merged: new Map(),
  };
}

const types = { JOIN_INNER: 'inner', JOIN_LEFT: 'left', JOIN_RIGHT: 'right', JOIN_FULL: 'full' } as const;

function bindJoin(binder: Binder, join: JoinExpr, scope: Scope): Part {
  if (join.larg === undefined || join.rarg === undefined) return nothing;
  const left = bindItem(binder, join.larg, scope);
  const right = bindItem(binder, join.rarg, scope);
  const alias = join.alias ?? join.join_using_alias;
  if (alias !== undefined)
    binder.problems.push({ at: 0, text: `the join has a name of its own (${alias.aliasname}): name its tables instead` });
  const kind = join.jointype ?? 'JOIN_INNER';
  const type = kind === 'JOIN_LEFT' || kind === 'JOIN_RIGHT' || kind === 'JOIN_FULL' ? types[kind] : 'inner';
  const merged = new Map([...left.merged, ...right.merged]);
  const entries = [...left.entries, ...right.entries];
  const on: Expression[] = [];
  if (join.isNatural === true) {
    delete join.isNatural;
    const common = visibleNames(left).filter((name) => visibleNames(right).includes(name));
    if (common.length > 0) join.usingClause = common.map((sval) => ({ String: { sval } }));
    else join.quals = { A_Const: { boolval: { boolval: true } } };
  }
  const using = names(join.usingClause);
  for (const name of using) {
    const [a, b] = [columnIn(left, name), columnIn(right, name)];
    if (a !== null && b !== null) on.push({ node: equality(a, b), certain: true, multiplies: false, subqueries: [] });
    merged.set(name, type === 'full' ? null : type === 'right' ? b : a);
  }
  // A condition of a join sees its two sides and what is around the whole query, not what is beside it in FROM.
  const within = scopeIn(scope.parent, entries, new Map([...left.merged, ...right.merged]));
  for (const [name, cte] of scope.ctes) within.ctes.set(name, cte);
  on.push(...conjuncts(join.quals).map((node) => binder.expression(node, within, true)));
  const shared = using.map((name): StarColumn => ({ alias: null, name, hidden: false }));
  const rest = (part: Part): readonly StarColumn[] => (part.columns ?? []).filter(({ name, hidden }) => hidden || !using.includes(name));
  return {
    tree: { kind: 'join', type, left: left.tree, right: right.tree, on, source: join },
    entries,
    columns: left.columns === null || right.columns === null ? null : [...shared, ...rest(left), ...rest(right)],
    merged,
  };
}

function visibleNames({ columns }: Part): readonly string[] {
  return (columns ?? []).flatMap(({ name, hidden }) => (hidden ? [] : [name]));
}

function columnIn({ merged, entries }: Part, name: string): Node | null {
  const shared = merged.get(name);
  if (shared !== undefined) return shared === null ? null : structuredClone(shared);
  const [entry, ...more] = entries.filter(({ columns }) => columns.has(name));
  return entry === undefined || more.length > 0 ? null : columnRef(entry.relation.id, entry.columns.get(name) ?? name);
}

function equality(lexpr: Node, rexpr: Node): Node {
  return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }], lexpr, rexpr } };
}

function bindRelation(binder: Binder, item: Node, scope: Scope): Entry | null {
  if ('RangeVar' in item) return bindTable(binder, item.RangeVar, scope);
  if ('RangeSubselect' in item) {
    const { subquery, lateral, alias } = item.RangeSubselect;
    const select = selectOf(subquery);
    if (select === undefined) return null;
    // Without LATERAL it does not see what is before it.
    const around = lateral === true ? scope : { ...scopeIn(scope.parent), ctes: scope.ctes };
    const from = lateral === true ? 'lateral' : 'subquery';
    return queryEntry(binder, binder.query(select, around), from, alias?.aliasname ?? '', names(alias?.colnames));
  }
  if ('RangeFunction' in item) {
    const id = binder.newId();
    const { alias, functions, coldeflist } = item.RangeFunction;
    const inputs = binder.expression({ List: { items: functions ?? [] } }, scope);
    const bound = 'List' in inputs.node ? (inputs.node.List.items ?? []) : [];
    const colnames = names(alias?.colnames);
    const node: Node = {
      RangeFunction: { ...item.RangeFunction, functions: bound, alias: { ...alias, aliasname: id } },
    };
    // The set that it gives is what it is there for; what it is made of must be certain.
    const inputsOf = (functions ?? []).flatMap(argumentsOf).map((argument) => binder.expression(argument, scope));
    const certain = coldeflist === undefined && inputsOf.every((argument) => argument.certain);
    const relation: Relation = { id, named: null, of: { kind: 'function', node, inputs: { ...inputs, certain } } };
    return {
      alias: alias?.aliasname ?? functionName(functions),
      relation,
      columns: new Map(colnames.map((name) => [name, name])),
      open: true,
    };
  }
  const place =
    'RangeTableSample' in item ? 'TABLESAMPLE gives other rows each time' : `${Object.keys(item).join('')} in FROM is not known here`;
  binder.problems.push({ at: 'RangeTableSample' in item ? (item.RangeTableSample.location ?? 0) : 0, text: place });
  return null;
}

function bindTable(binder: Binder, { schemaname, relname = '', alias, location }: RangeVar, scope: Scope): Entry | null {
  const name = alias?.aliasname ?? relname;
  const colnames = names(alias?.colnames);
  if (schemaname !== undefined) {
    binder.problems.push({
      at: location ?? 0,
      text: `${schemaname}.${relname}: name the mirror without schema, since each version of a model has its own`,
    });
    return null;
  }
  const cte = findCte(scope, relname);
  if (cte !== undefined) {
    const renamed = [...colnames, ...cte.columns.slice(colnames.length)];
    return queryEntry(binder, binder.query(cte.select, cte.scope), 'with', name, renamed);
  }
  const table = binder.tables.get(relname);
  if (table === undefined) {
    binder.problems.push({
      at: location ?? 0,
      text: `${relname} is no mirror of this model; there are ${[...binder.tables.keys()].join(', ')}`,
    });
    return null;
  }
  const columns = new Map(table.columns.map((column, index) => [colnames[index] ?? column.name, column.name]));
  const relation: Relation = { id: binder.newId(), named: namedBy(name, columns), of: { kind: 'mirror', table } };
  return { alias: name, relation, columns, open: false };
}

/** Columns of a derived table go by their position here: a query may give two of them one name. */
function queryEntry(
  binder: Binder,
  query: Query,
  from: 'subquery' | 'lateral' | 'with',
  alias: string,
  colnames: readonly string[],
): Entry {
  const columns = query.outputs.map((_, index) => `c${index}`);
  const visible = query.outputs.map(({ name }, index) => colnames[index] ?? name);
  const known = new Map(visible.flatMap((name, index) => (name === null ? [] : [[name, `c${index}`]])));
  const relation: Relation = { id: binder.newId(), named: namedBy(alias, known), of: { kind: 'query', query, columns, from } };
  return { alias, relation, columns: known, open: visible.includes(null) };
}

function namedBy(alias: string, columns: ReadonlyMap<string, string>): Relation['named'] {
  return alias === '' ? null : { alias, columns: new Map([...columns].map(([visible, column]) => [column, visible])) };
}

function argumentsOf(list: Node): readonly Node[] {
  const [call] = 'List' in list ? (list.List.items ?? []) : [];
  return call !== undefined && 'FuncCall' in call ? (call.FuncCall.args ?? []) : [];
}

function functionName(functions: readonly Node[] | undefined): string {
  const [list] = functions ?? [];
  const [call] = list !== undefined && 'List' in list ? (list.List.items ?? []) : [];
  return call !== undefined && 'FuncCall' in call ? (names(call.FuncCall.funcname).at(-1) ?? '') : '';
}
