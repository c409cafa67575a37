/** What an old application does, as data: planned by plan.ts, done by transaction.ts. */

export const operationKinds = [
  'place-order',
  'patch',
  'replace',
  'cancel-order',
  'remove-item',
  'register',
  'burst',
  'late-commit',
  'rollback',
  'savepoint',
  'multi-table',
] as const;

export type OperationKind = (typeof operationKinds)[number];

export type PooledTable = 'customers' | 'products' | 'orders' | 'order_items';

/**
 * A row among those known to exist when the step runs: the pool's entry at this fraction of its length. The plan thus needs no database,
 * and within one operation the same pick is the same row.
 */
export type Pick = number;

export type ItemToOrder = { readonly product: Pick; readonly quantity: number };

/** The column values of a row, money as decimal text. */
export type Values = Readonly<Record<string, string | number | boolean | null>>;

export type Step =
  | { readonly do: 'place-order'; readonly customer: Pick; readonly note: string | null; readonly items: readonly ItemToOrder[] }
  | { readonly do: 'insert'; readonly table: 'customers' | 'products'; readonly values: Values }
  /** One column (PATCH) or all that the application may change (PUT). */
  | { readonly do: 'update'; readonly table: 'customers' | 'products' | 'orders'; readonly row: Pick; readonly values: Values }
  | { readonly do: 'add-item'; readonly order: Pick; readonly item: ItemToOrder }
  /** By deleting the items first, as a careful application does, or by leaving them to the foreign key. */
  | { readonly do: 'cancel-order'; readonly order: Pick; readonly leaveItemsToForeignKey: boolean }
  | { readonly do: 'remove-item'; readonly item: Pick }
  /** A sub-transaction. */
  | { readonly do: 'savepoint'; readonly steps: readonly Step[]; readonly ending: 'release' | 'rollback' };

export type Transaction = {
  readonly steps: readonly Step[];
  /** How long it stays open after its last write. */
  readonly holdMs: number;
  readonly ending: 'commit' | 'rollback';
};

export type Operation = {
  readonly index: number;
  readonly kind: OperationKind;
  /** When it is due, in ms from the start of the workload. */
  readonly dueMs: number;
  /** One after the other, without pause. */
  readonly transactions: readonly Transaction[];
};
