/**
 * What a handler gets of one event. Values are in the contract's representation (docs/change-event.md): what JSON has no exact number for (numeric,
 * timestamps, …) is text, an integer beyond 2^53 is a bigint, and no value has lost a digit.
 */

/** A value of a column. */
export type ChangeValue = string | number | bigint | boolean | null | readonly ChangeValue[] | { readonly [name: string]: ChangeValue };

/** A row, column name to value. `cdc types` makes an exact type of each table. */
export type ChangeRow = { readonly [column: string]: ChangeValue };

/** Where a change comes from. */
export type ChangePlace = {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** `schema.table` in the legacy database. */
  readonly table: string;
  /** How far the partition is consumed with this change: for `waitFor`, and for the header Min-Position of the query API. */
  readonly position: string;
  /** When the source made the change, in its own clock, as ISO 8601 in UTC to the microsecond; null where the event does not say. */
  readonly at: string | null;
};

type Written<Row> = {
  /** The row as it is now, without the columns in `unchanged`. */
  readonly after: Row;
  /** Large columns that the update left alone, and whose value the log does not have: keep the value that you have. */
  readonly unchanged: readonly string[];
};

/**
 * A change of one row, or of a whole table (`truncate`), by `op`. `read` is a row of a snapshot or of a first load: it may be there already. `before` is
 * what the source's log has of the row before the change: often null, or the key alone; always null where the table is polled.
 */
export type Change<Row extends object = ChangeRow, Key extends object | null = ChangeRow | null> = ChangePlace &
  (
    | ({ readonly op: 'create' | 'read'; readonly key: Key; readonly before: null } & Written<Row>)
    | ({ readonly op: 'update'; readonly key: Key; readonly before: Partial<Row> | null } & Written<Row>)
    | { readonly op: 'delete'; readonly key: Key; readonly before: Partial<Row> | null; readonly after: null }
    | { readonly op: 'truncate'; readonly key: null; readonly before: null; readonly after: null }
  );

/** The least that the type of a table's changes says: a {@link Change}, or what `cdc types` makes of the table. */
export type AnyChange = {
  readonly op: Change['op'];
  readonly key: object | null;
  readonly before: object | null;
  readonly after: object | null;
};

/** A change with all that every change has. */
export type WithPlace<C extends AnyChange> = C extends { readonly after: null }
  ? C & ChangePlace
  : C & ChangePlace & { readonly unchanged: readonly string[] };

/** Thrown by a handler for a change that it can never handle: the change is parked, and the later changes of its key behind it. */
export class Poison extends Error {
  override readonly name = 'Poison';
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;

  /** @param change one of those that the handler was given */
  constructor(change: Pick<ChangePlace, 'topic' | 'partition' | 'offset'>, why: string, options?: { readonly cause?: unknown }) {
    super(why, options);
    this.topic = change.topic;
    this.partition = change.partition;
    this.offset = change.offset;
  }
}
