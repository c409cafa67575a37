import type { Node, SelectStmt } from '@pgsql/types';
import type { Expression, ModelTable, Query } from './query-model.ts';
import type { Scope } from './scope.ts';

/** What is wrong with a projection, and where: bytes from the beginning of its text. */
export type Problem = { readonly at: number; readonly text: string };

export type FunctionKind = 'plain' | 'aggregate' | 'window' | 'set';

export type ModelTables = ReadonlyMap<string, ModelTable>;

/** What binding knows, what it finds out, and its parts that need one another. */
export type Binder = {
  readonly tables: ModelTables;
  readonly kindOf: (name: readonly string[]) => FunctionKind;
  readonly problems: Problem[];
  /** A new relation's name. */
  readonly newId: () => string;
  readonly query: (select: SelectStmt, parent: Scope | null) => Query;
  /** @param filters it must be true for a row to count: unknown is as good as false */
  readonly expression: (node: Node, scope: Scope, filters?: boolean) => Expression;
};

/** A column that a star means: as the query's own text may name it. */
export type StarColumn = { readonly alias: string | null; readonly name: string; readonly hidden: boolean };

/** The conditions of which all must hold. */
export function conjuncts(node: Node | undefined): readonly Node[] {
  if (node === undefined) return [];
  if ('BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR') return (node.BoolExpr.args ?? []).flatMap(conjuncts);
  return [node];
}
