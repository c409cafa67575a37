/**
 * A view that is derived from mirrors, kept by recomputing the rows that a batch touched. What it needs is SQL in which mirrors and view
 * are named without schema; `$1` is always an array.
 */
export type Projection = {
  readonly name: string;
  /** The type of the view's key, as SQL. */
  readonly keyType: string;
  /** The mirror whose primary key is the view's key: its changed rows touch their own. */
  readonly keyOf: string;
  /**
   * Per further mirror it reads: which of the view's keys depend on the rows whose primary keys are `$1` (an array of `keyType`). Asked before
   * and after the rows change, so that a row that moves from one key to another touches both.
   */
  readonly touchedBy: Readonly<Record<string, string>>;
  /** Every key of the view: what a truncate of any mirror touches. */
  readonly allKeys: string;
  /** Makes the view's rows of keys `$1` what the mirrors say, including that they do not exist. Several statements. */
  readonly recompute: readonly string[];
};
