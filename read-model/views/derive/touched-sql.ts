import type { Node, SelectStmt } from '@pgsql/types';
import { escapeIdentifier } from 'pg';
import { columnOf } from './conditions.ts';
import type { ModelTable } from './query-model.ts';
import type { Short } from './shorten.ts';
import { columnRef, selectOf, walk, type Grammar } from '../grammar/sql-tree.ts';
import type { Flat, Leaf } from './touch.ts';

/** The SQL of a touched query. Its parameters are one array for each column of the changed mirror's primary key. Null when it cannot be written. */
export function touchedSql(grammar: Grammar, short: Short, changed: ModelTable, keyTypes: readonly string[]): string | null {
  const equalities = short.classes.flatMap((members) =>
    members
      .slice(1)
      .map((one, index): Node =>
        equality(columnRef(one.id, one.column), columnRef(members[index]?.id ?? '', members[index]?.column ?? '')),
      ),
  );
  const targets = short.key.map((node, index) =>
    target({ TypeCast: { arg: node, typeName: typeName(grammar, keyTypes[index] ?? 'text'), location: 0 } }),
  );
  return grammar.write({
    SelectStmt: {
      ...statement(short.leaves, [...equalities, ...short.conditions, restriction(grammar, short, changed)]),
      ...distinct(grammar),
      targetList: targets,
    },
  });
}

/** The mirror's key columns that are the projection's key, by position; null when a query must find them. */
export function ownKey(short: Short, changed: string, table: ModelTable): readonly number[] | null {
  const [leaf, ...more] = short.leaves;
  if (leaf?.id !== changed || more.length > 0 || short.restricted.id !== changed) return null;
  const positions = short.key.map((node) => table.key.indexOf(columnOf(node)?.column ?? ''));
  return positions.includes(-1) ? null : positions;
}

function statement(leaves: readonly Leaf[], conditions: readonly Node[]): SelectStmt {
  const [only] = conditions;
  const where: Node | undefined = conditions.length > 1 ? { BoolExpr: { boolop: 'AND_EXPR', args: [...conditions] } } : only;
  return {
    ...(leaves.length === 0 ? {} : { fromClause: leaves.map(fromItem) }),
    ...(where === undefined ? {} : { whereClause: where }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
}

function fromItem(leaf: Leaf): Node {
  const alias = { aliasname: leaf.id };
  if ('branches' in leaf) return { RangeSubselect: { lateral: true, subquery: { SelectStmt: union(leaf.branches) }, alias } };
  const { of } = leaf.relation;
  if (of.kind === 'mirror') return { RangeVar: { relname: of.table.name, inh: true, relpersistence: 'p', alias } };
  if (of.kind === 'function') return of.node;
  throw new TypeError('a derived table is never a leaf');
}

function union(branches: readonly Flat[]): SelectStmt {
  const selects = branches.map(({ leaves, conditions, outputs }): SelectStmt => {
    const targetList = outputs.map((output, index) => target(output ?? { A_Const: { isnull: true } }, `c${index}`));
    return { ...statement(leaves, conditions), targetList };
  });
  return selects.reduce((larg, rarg) => ({ op: 'SETOP_UNION', all: true, larg, rarg, limitOption: 'LIMIT_OPTION_DEFAULT' }));
}

/** DISTINCT without ON, as the grammar has it. */
function distinct(grammar: Grammar): Pick<SelectStmt, 'distinctClause'> {
  const { distinctClause } = selectOf(grammar.parse('SELECT DISTINCT 1').stmts?.[0]?.stmt) ?? {};
  return distinctClause === undefined ? {} : { distinctClause };
}

function target(val: Node, name?: string): Node {
  return { ResTarget: { ...(name === undefined ? {} : { name }), val } };
}

function equality(lexpr: Node, rexpr: Node): Node {
  return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }], lexpr, rexpr } };
}

/** Of the changed rows alone, by their primary key. */
function restriction(grammar: Grammar, { restricted }: Short, changed: ModelTable): Node {
  const types = changed.key.map((name) => changed.columns.find((column) => column.name === name)?.type ?? 'text');
  const columns = restricted.columns.map((name) => `${restricted.id}.${escapeIdentifier(name)}`);
  const sql =
    columns.length === 1
      ? `${columns.join('')} = ANY ($1::${types.join('')}[])`
      : `(${columns.join(', ')}) IN (SELECT * FROM unnest(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')}))`;
  return expression(grammar, sql);
}

function expression(grammar: Grammar, sql: string): Node {
  const statements = grammar.parse(`SELECT ${sql}`).stmts;
  let found: Node | undefined;
  walk(statements, (node) => {
    if ('ResTarget' in node) found ??= node.ResTarget.val;
    return found === undefined;
  });
  if (found === undefined) throw new TypeError(`no expression: ${sql}`);
  return found;
}

function typeName(grammar: Grammar, type: string): NonNullable<Extract<Node, { TypeCast: unknown }>['TypeCast']['typeName']> {
  const cast = expression(grammar, `NULL::${type}`);
  if (!('TypeCast' in cast) || cast.TypeCast.typeName === undefined) throw new TypeError(`no type: ${type}`);
  return cast.TypeCast.typeName;
}
