import type { Node, SelectStmt } from '@pgsql/types';
import type { Expression, Output, Query, Subquery } from './query-model.ts';
import { bindFromList } from './bind-from.ts';
import { conjuncts, type Binder, type FunctionKind, type ModelTables, type Problem, type StarColumn } from './binder.ts';
import { findName, findQualified, scopeIn, type Found, type Scope } from './scope.ts';
import { columnRef, names, replace, selectOf, walk } from '../grammar/sql-tree.ts';

export function createBinder(tables: ModelTables, kindOf: (name: readonly string[]) => FunctionKind, problems: Problem[]): Binder {
  let count = 0;
  const binder: Binder = {
    tables,
    kindOf,
    problems,
    newId: () => `t${(count += 1)}`,
    query: (select, parent) => bindQuery(binder, select, parent),
    expression: (node, scope, filters) => bindExpression(binder, node, scope, filters),
  };
  return binder;
}

/**
 * Binds a query: what each of its names means. The tree's own stars are written out, and its NATURAL joins made USING, so that they
 * mean the mirror's columns without those that are ours.
 */
function bindQuery(binder: Binder, select: SelectStmt, parent: Scope | null): Query {
  const scope = scopeIn(parent);
  bindCtes(binder, select, scope);
  if (select.larg !== undefined && select.rarg !== undefined) {
    const branches = [bindQuery(binder, select.larg, scope), bindQuery(binder, select.rarg, scope)];
    return {
      kind: 'set',
      id: binder.newId(),
      distinct: select.all !== true,
      branches,
      limited: select.limitCount !== undefined || select.limitOffset !== undefined,
      others: [select.limitCount, select.limitOffset].flatMap((node) => (node === undefined ? [] : [bindExpression(binder, node, scope)])),
      outputs: branches[0]?.outputs ?? [],
    };
  }
  if (select.valuesLists !== undefined) return bindValues(binder, select, scope);
  const from = bindFromList(binder, select.fromClause ?? [], scope);
  writeOutStars(binder, select, scope, from.columns);
  const outputs = (select.targetList ?? []).flatMap((target): Output[] =>
    'ResTarget' in target && target.ResTarget.val !== undefined
      ? [{ name: target.ResTarget.name ?? nameOf(target.ResTarget.val), value: bindExpression(binder, target.ResTarget.val, scope) }]
      : [],
  );
  const windows = windowsOf(select);
  const on = (select.distinctClause ?? []).filter((node) => Object.keys(node).length > 0);
  const limited = select.limitCount !== undefined || select.limitOffset !== undefined;
  const bindAll = (nodes: readonly (Node | undefined)[]): Expression[] =>
    nodes.flatMap((node) => (node === undefined ? [] : [bindExpression(binder, node, scope)]));
  return {
    kind: 'select',
    source: select,
    from: from.tree,
    where: conjuncts(select.whereClause).map((node) => bindExpression(binder, node, scope, true)),
    outputs,
    others: [
      ...conjuncts(select.havingClause).map((node) => bindExpression(binder, node, scope, true)),
      ...bindAll([...(select.groupClause ?? []), ...on, ...sortKeys(select.sortClause), select.limitCount, select.limitOffset]),
    ],
    grouped: select.groupClause === undefined ? null : select.groupClause.map((node) => groupedBy(binder, node, scope, outputs)),
    aggregates: select.havingClause !== undefined || usesAggregates(binder, select.targetList) || usesAggregates(binder, select.sortClause),
    distinct: (select.distinctClause ?? []).length > 0 && on.length === 0,
    single: isOne(select.limitCount) && select.limitOption === 'LIMIT_OPTION_COUNT',
    apart: [
      ...windows.map((partition) => bindAll(partition)),
      ...(on.length > 0 ? [on.map((node) => groupedBy(binder, node, scope, outputs))] : []),
      ...(limited ? [[]] : []),
    ],
  };
}

/**
 * Binds an expression.
 *
 * @param filters it must be true for a row to count: unknown is as good as false
 */
function bindExpression(binder: Binder, tree: Node, scope: Scope, filters = false): Expression {
  const node = structuredClone(tree);
  const subqueries: Subquery[] = [];
  const positive = filters ? positives(node) : new Set<Node>();
  let certain = true;
  let multiplies = false;
  walk(node, (inner) => {
    if ('SubLink' in inner) {
      certain = false;
      const { subselect, subLinkType, operName, testexpr } = inner.SubLink;
      const select = selectOf(subselect);
      const tested = testexpr === undefined ? null : bindExpression(binder, testexpr, scope);
      if (tested !== null) subqueries.push(...tested.subqueries);
      const isIn = subLinkType === 'ANY_SUBLINK' && operName === undefined;
      if (select !== undefined) {
        subqueries.push({ query: bindQuery(binder, select, scope), equals: isIn && positive.has(inner) ? tested : null });
      }
      return false;
    }
    if ('ColumnRef' in inner) {
      const found = findColumn(scope, inner);
      const hidden =
        found.kind === 'column' && found.entry?.relation.of.kind === 'mirror' && found.entry.relation.of.table.hidden.has(found.column);
      if (hidden) binder.problems.push({ at: inner.ColumnRef.location ?? 0, text: `${found.column} is a column of the read model's own` });
      if (found.kind === 'row' && found.entry.relation.of.kind === 'mirror') {
        binder.problems.push({
          at: inner.ColumnRef.location ?? 0,
          text: `${found.entry.alias} as a whole row has columns of the read model's own: name the columns, as in jsonb_build_object('id', ${found.entry.alias}.id)`,
        });
      }
      if (found.kind === 'unknown' || (found.kind === 'row' && found.entry.relation.of.kind !== 'function')) certain = false;
      else replace(inner, found.node);
      return false;
    }
    if ('FuncCall' in inner) {
      const kind = binder.kindOf(names(inner.FuncCall.funcname));
      if (inner.FuncCall.over !== undefined || kind !== 'plain') certain = false;
      if (kind === 'set') multiplies = true;
    }
    if ('GroupingFunc' in inner) certain = false;
    return true;
  });
  return { node, certain, multiplies, subqueries };
}

function findColumn(scope: Scope, node: Node): Found {
  const fields = 'ColumnRef' in node ? names(node.ColumnRef.fields) : [];
  const [first = '', second] = fields;
  if (fields.length > 2 || ('ColumnRef' in node && node.ColumnRef.fields?.length !== fields.length)) return { kind: 'unknown' };
  return second === undefined ? findName(scope, first) : findQualified(scope, first, second);
}

/** The parts of a condition that help to make it true by being true, and in no other way. */
function positives(node: Node): Set<Node> {
  if ('BoolExpr' in node && node.BoolExpr.boolop !== 'NOT_EXPR') {
    return new Set((node.BoolExpr.args ?? []).flatMap((inner) => [...positives(inner)]));
  }
  return new Set([node]);
}

function bindCtes(binder: Binder, { withClause }: SelectStmt, scope: Scope): void {
  if (withClause?.recursive === true)
    binder.problems.push({ at: withClause.location ?? 0, text: 'WITH RECURSIVE: which rows a change touches cannot be derived' });
  for (const cte of withClause?.ctes ?? []) {
    if (!('CommonTableExpr' in cte)) continue;
    const { ctename = '', ctequery, aliascolnames, location } = cte.CommonTableExpr;
    const select = selectOf(ctequery);
    if (select === undefined) {
      binder.problems.push({ at: location ?? 0, text: `WITH ${ctename}: a projection only reads` });
      continue;
    }
    // Inlined, so that a key reaches into it however often it is named.
    cte.CommonTableExpr.ctematerialized = 'CTEMaterializeNever';
    // It sees those before it, and not itself.
    const seen: Scope = { ...scopeIn(scope.parent), ctes: new Map(scope.ctes) };
    scope.ctes.set(ctename, { select, scope: seen, columns: names(aliascolnames) });
  }
}

function bindValues(binder: Binder, select: SelectStmt, scope: Scope): Query {
  const id = binder.newId();
  const lists = { List: { items: select.valuesLists ?? [] } };
  const inputs = bindExpression(binder, lists, scope);
  const [row] = select.valuesLists ?? [];
  const width = row !== undefined && 'List' in row ? (row.List.items?.length ?? 0) : 0;
  const rows = 'List' in inputs.node ? (inputs.node.List.items ?? []) : [];
  const values: SelectStmt = { valuesLists: rows, limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' };
  const node: Node = { RangeSubselect: { lateral: true, subquery: { SelectStmt: values }, alias: { aliasname: id } } };
  const columns = Array.from({ length: width }, (_, index) => `column${index + 1}`);
  return {
    kind: 'select',
    source: null,
    from: { kind: 'relation', relation: { id, named: null, of: { kind: 'function', node, inputs } } },
    where: [],
    outputs: columns.map((name) => ({ name, value: { node: columnRef(id, name), certain: true, multiplies: false, subqueries: [] } })),
    others: [],
    grouped: null,
    aggregates: false,
    distinct: false,
    single: false,
    apart: select.limitCount === undefined && select.limitOffset === undefined ? [] : [[]],
  };
}

/** `GROUP BY 1` and `GROUP BY name of an output` mean that output. */
function groupedBy(binder: Binder, node: Node, scope: Scope, outputs: readonly Output[]): Expression {
  if ('GroupingSet' in node) {
    binder.problems.push({
      at: node.GroupingSet.location ?? 0,
      text: 'GROUPING SETS, CUBE and ROLLUP have rows of several groupings: write each as a projection of its own',
    });
  }
  const ordinal = 'A_Const' in node ? node.A_Const.ival?.ival : undefined;
  const output = ordinal === undefined ? undefined : outputs[ordinal - 1];
  if (output !== undefined) return output.value;
  const bound = bindExpression(binder, node, scope);
  if (bound.certain || !('ColumnRef' in node)) return bound;
  const [name, ...more] = names(node.ColumnRef.fields);
  return (more.length === 0 ? outputs.find((one) => one.name === name)?.value : undefined) ?? bound;
}

/** What each window function of this query, not of its subqueries, is partitioned by. */
function windowsOf(select: SelectStmt): readonly (readonly Node[])[] {
  const named = new Map(
    (select.windowClause ?? []).flatMap((node) => ('WindowDef' in node ? [[node.WindowDef.name ?? '', node.WindowDef]] : [])),
  );
  const found: (readonly Node[])[] = [];
  walk([select.targetList ?? [], select.sortClause ?? []], (node) => {
    if ('SubLink' in node) return false;
    const over = 'FuncCall' in node ? node.FuncCall.over : undefined;
    let window = over;
    // A window may take its partition from another one, by name.
    for (let steps = 0; window !== undefined && window.partitionClause === undefined && steps < 10; steps += 1) {
      window = named.get(window === over && over.name !== undefined ? over.name : (window.refname ?? ''));
    }
    if (over !== undefined) found.push(window?.partitionClause ?? []);
    return true;
  });
  return found;
}

function usesAggregates(binder: Binder, tree: unknown): boolean {
  let found = false;
  walk(tree, (node) => {
    if ('SubLink' in node) return false;
    if ('FuncCall' in node && node.FuncCall.over === undefined && binder.kindOf(names(node.FuncCall.funcname)) === 'aggregate')
      found = true;
    return true;
  });
  return found;
}

function isOne(limit: Node | undefined): boolean {
  return limit !== undefined && 'A_Const' in limit && limit.A_Const.ival?.ival === 1;
}

function sortKeys(clause: readonly Node[] | undefined): readonly Node[] {
  return (clause ?? []).flatMap((node) => ('SortBy' in node && node.SortBy.node !== undefined ? [node.SortBy.node] : []));
}

/** The name that Postgres gives an output without one; null where that is not certain here. */
function nameOf(node: Node): string | null {
  if ('ColumnRef' in node) return names(node.ColumnRef.fields).at(-1) ?? null;
  if ('FuncCall' in node) return names(node.FuncCall.funcname).at(-1) ?? null;
  if ('TypeCast' in node && node.TypeCast.arg !== undefined && 'ColumnRef' in node.TypeCast.arg) return nameOf(node.TypeCast.arg);
  return null;
}

function writeOutStars(binder: Binder, select: SelectStmt, scope: Scope, columns: readonly StarColumn[] | null): void {
  select.targetList = (select.targetList ?? []).flatMap((target) => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    if (value === undefined || !('ColumnRef' in value)) return [target];
    const { fields, location } = value.ColumnRef;
    if (!fields?.some((field) => 'A_Star' in field)) return [target];
    const [alias, ...more] = names(fields);
    const listed = alias === undefined ? columns : starOf(scope, alias);
    if (listed === null || more.length > 0) {
      binder.problems.push({ at: location ?? 0, text: 'name the columns in place of the star: not all of them are known here' });
      return [target];
    }
    return listed
      .filter(({ hidden }) => !hidden)
      .map((column): Node => {
        const val = columnRef(...(column.alias === null ? [] : [column.alias]), column.name);
        return { ResTarget: { val } };
      });
  });
}

function starOf(scope: Scope, alias: string): readonly StarColumn[] | null {
  const entry = scope.entries.find((one) => one.alias === alias);
  if (entry === undefined || entry.open) return null;
  const { of } = entry.relation;
  return [...entry.columns].map(([name, column]) => ({ alias, name, hidden: of.kind === 'mirror' && of.table.hidden.has(column) }));
}
