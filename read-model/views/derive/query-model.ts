import type { JoinExpr, Node, SelectStmt } from '@pgsql/types';

/**
 * A query as the derivation sees it: relations with names of their own, joined; conditions; output columns; subqueries. Every column
 * reference in its expressions is bound: its first field is a relation's name here. References that could not be bound make their
 * expression `certain: false`.
 */

/** A column of a mirror: its type as SQL. */
export type ModelColumn = { readonly name: string; readonly type: string };

/** A mirror, as far as derivation asks. */
export type ModelTable = {
  readonly name: string;
  readonly columns: readonly ModelColumn[];
  readonly key: readonly string[];
  /** The columns of other unique indexes (whole ones, of columns alone). */
  readonly unique: readonly (readonly string[])[];
  /** First columns of its indexes. */
  readonly indexed: ReadonlySet<string>;
  /** Columns that are ours, which a star leaves out. */
  readonly hidden: ReadonlySet<string>;
};

export type Expression = {
  readonly node: Node;
  /** It is made of bound columns, constants, operators and functions alone: no aggregate, window function, set or subquery. */
  readonly certain: boolean;
  /** It gives several rows for one. */
  readonly multiplies: boolean;
  readonly subqueries: readonly Subquery[];
};

export type Subquery = {
  readonly query: Query;
  /** Of `x IN (SELECT …)` that filters: x. */
  readonly equals: Expression | null;
};

export type Relation = {
  readonly id: string;
  /** As the query's own text calls it, and its columns, by the names here; null where that is not certain. */
  readonly named: { readonly alias: string; readonly columns: ReadonlyMap<string, string> } | null;
  readonly of:
    | { readonly kind: 'mirror'; readonly table: ModelTable }
    /** `from`: a subquery written where it is used, LATERAL or not, or a WITH, which others may name too. */
    | { readonly kind: 'query'; readonly query: Query; readonly columns: readonly string[]; readonly from: 'subquery' | 'lateral' | 'with' }
    /** A function, VALUES and the like: `write` puts it down with its bound arguments. */
    | { readonly kind: 'function'; readonly node: Node; readonly inputs: Expression };
};

export type From =
  | { readonly kind: 'relation'; readonly relation: Relation }
  | {
      readonly kind: 'join';
      readonly type: 'inner' | 'left' | 'right' | 'full';
      readonly left: From;
      readonly right: From;
      readonly on: readonly Expression[];
      /** What it was bound from; null for the comma. */
      readonly source: JoinExpr | null;
    }
  | { readonly kind: 'nothing' };

export type Output = { readonly name: string | null; readonly value: Expression };

export type Query =
  | {
      readonly kind: 'select';
      /** What it was bound from; null for VALUES. */
      readonly source: SelectStmt | null;
      readonly from: From;
      readonly where: readonly Expression[];
      readonly outputs: readonly Output[];
      /** Expressions elsewhere: HAVING, ORDER BY, LIMIT, windows. Of these only the subqueries count. */
      readonly others: readonly Expression[];
      readonly grouped: readonly Expression[] | null;
      readonly aggregates: boolean;
      readonly distinct: boolean;
      /** LIMIT 1: it gives one row at most. */
      readonly single: boolean;
      /**
       * Where one input row decides about the output rows of others (windows, LIMIT, DISTINCT ON): for each of them, the expressions that
       * keep rows apart from one another.
       */
      readonly apart: readonly (readonly Expression[])[];
    }
  | {
      readonly kind: 'set';
      readonly id: string;
      /** UNION without ALL, INTERSECT, EXCEPT. */
      readonly distinct: boolean;
      readonly branches: readonly Query[];
      readonly limited: boolean;
      readonly others: readonly Expression[];
      readonly outputs: readonly Output[];
    };
