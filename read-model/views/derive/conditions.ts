import type { Node } from '@pgsql/types';
import type { Expression } from './query-model.ts';
import { names, walk } from '../grammar/sql-tree.ts';

/**
 * Which conditions a touched query keeps. It may ask them of rows that the query itself never asked, since it has left out others: so
 * they must be ones that raise no error, whatever the row.
 */

const comparisons: ReadonlySet<string> = new Set(['=', '<>', '<', '>', '<=', '>=', '~~', '!~~']);
const simple: ReadonlySet<string> = new Set([
  'ColumnRef',
  'String',
  'A_Const',
  'NullTest',
  'BooleanTest',
  'BoolExpr',
  'List',
  'A_ArrayExpr',
  'TypeName',
  'Integer',
]);

/** Columns, constants, comparisons: what cannot fail. */
export function isSafe(condition: Node): boolean {
  let safe = true;
  walk(condition, (node) => {
    if ('TypeCast' in node) safe &&= node.TypeCast.arg !== undefined && 'A_Const' in node.TypeCast.arg;
    else if ('A_Expr' in node) safe &&= isComparison(node);
    else safe &&= Object.keys(node).every((kind) => simple.has(kind));
    return safe;
  });
  return safe;
}

function isComparison(node: Node): boolean {
  if (!('A_Expr' in node)) return false;
  const { kind, name } = node.A_Expr;
  return kind !== 'AEXPR_NULLIF' && names(name).every((one) => comparisons.has(one) || one.includes('BETWEEN'));
}

/** An equality between two relations: without it their rows would meet each with each. */
export function isJoining(condition: Node): boolean {
  if (!('A_Expr' in condition) || condition.A_Expr.kind !== 'AEXPR_OP' || names(condition.A_Expr.name).join('.') !== '=') return false;
  const { lexpr, rexpr } = condition.A_Expr;
  const left = relationsIn(lexpr);
  const right = relationsIn(rexpr);
  return left.size > 0 && right.size > 0 && [...right].some((one) => !left.has(one));
}

/** The relations whose columns a tree names. */
export function relationsIn(tree: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  walk(tree, (node) => {
    if (!('ColumnRef' in node)) return true;
    const [id] = names(node.ColumnRef.fields);
    if (id !== undefined) found.add(id);
    return false;
  });
  return found;
}

export type Column = { readonly id: string; readonly column: string };

export function columnOf(node: Node | undefined | null): Column | null {
  if (node === undefined || node === null || !('ColumnRef' in node)) return null;
  const [id, column, ...more] = names(node.ColumnRef.fields);
  return id === undefined || column === undefined || more.length > 0 ? null : { id, column };
}

/** The two columns of `a.x = b.y`; null for any other condition. */
export function equalColumns(condition: Node): readonly [Column, Column] | null {
  if (!isJoining(condition) || !('A_Expr' in condition)) return null;
  const left = columnOf(condition.A_Expr.lexpr);
  const right = columnOf(condition.A_Expr.rexpr);
  return left === null || right === null ? null : [left, right];
}

const strict: ReadonlySet<string> = new Set(['=', '<>', '<', '>', '<=', '>=']);

/** The relations that must have a row, where all these conditions are true: a comparison with null is not. */
export function neededBy(conditions: readonly Expression[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { node, certain } of conditions) {
    if (!certain) continue;
    const sides: readonly (Node | undefined)[] =
      'A_Expr' in node && node.A_Expr.kind === 'AEXPR_OP' && strict.has(names(node.A_Expr.name).join('.'))
        ? [node.A_Expr.lexpr, node.A_Expr.rexpr]
        : 'NullTest' in node && node.NullTest.nulltesttype === 'IS_NOT_NULL'
          ? [node.NullTest.arg]
          : [];
    for (const column of sides.map(columnOf)) if (column !== null) found.add(column.id);
  }
  return found;
}
