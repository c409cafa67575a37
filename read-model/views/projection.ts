/**
 * A view that is derived from mirrors, kept by making again the rows of the keys that a batch touched. Its SQL names mirrors and view
 * without schema. Keys are passed as one array for each column, in their text form: `$1`, `$2` …
 */
export type Projection = {
  readonly name: string;
  readonly key: readonly KeyColumn[];
  /** The mirrors that it is made of: a change of any other one cannot touch it. */
  readonly reads: readonly string[];
  /** Per mirror that it reads, what gives the keys that changed rows of it touch: all answers together. */
  readonly touchedBy: Readonly<Record<string, readonly Touch[]>>;
  /** Every key that it has or should have: what a truncate touches. */
  readonly allKeys: string;
  /** Makes the rows of these keys what the mirrors say, including that they do not exist. A row that one gives is a key that comes twice. */
  readonly upkeep: readonly string[];
  /** The same, quicker for many keys and slower for few; none where it is not known to be quicker. */
  readonly upkeepOfMany: readonly string[];
  /** Fills the view, which is empty. */
  readonly fill: string | null;
  /** One of these keys that the query gives more than once; of all keys, where none are passed. */
  readonly duplicate: { readonly ofKeys: string; readonly ofAll: string } | null;
  readonly createTable: readonly string[];
};

export type KeyColumn = { readonly name: string; /** As SQL. */ readonly type: string };

export type Touch =
  | {
      /**
       * Asked before and after rows of a mirror change, so that a row that moves from one key to another touches both. Its parameters are the
       * columns of the mirror's primary key, as arrays.
       */
      readonly sql: string;
      /** It looks into more than one table, so nobody else may change these between the two answers. */
      readonly joins: boolean;
    }
  | {
      /** The view's key is these columns of the mirror's primary key, by position: nothing need be asked. */
      readonly ownKey: readonly number[];
    };
