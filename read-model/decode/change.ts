import type { Operation } from '#change-events/index.ts';

/** What a history keeps of an event beside its row. */
export type Origin = {
  readonly op: Operation;
  /** When the source did it, in its own clock, in microseconds since 1970; null where the event does not say. */
  readonly at: string | null;
  readonly transaction: string | null;
};

/** A position of the source's log; null for an event whose strategy knows none. */
export type Lsn = number | bigint | null;

/** A column's value as a parameter of Postgres; undefined keeps what the stored row has (an unchanged TOAST column). */
export type CellText = string | null | undefined;

/**
 * What one event asks of its mirror. `key` identifies the row in the mirror; `offset` is that of its message. An update of a row's key comes
 * as a delete that `moves` and, maybe in another partition, an upsert `movedFrom` the old key, both of one `lsn`.
 */
export type Change =
  | {
      readonly kind: 'upsert';
      readonly key: string;
      readonly cells: readonly CellText[];
      /** Whether some cells keep what is stored. */
      readonly partial: boolean;
      readonly lsn: Lsn;
      readonly offset: bigint;
      /** The event calls the row new: a create, or a snapshot's read. It may be stored all the same. */
      readonly isNew: boolean;
      readonly movedFrom?: string;
      /** For mirrors that keep a history. */
      readonly origin?: Origin;
    }
  | {
      readonly kind: 'delete';
      readonly key: string;
      readonly keyCells: readonly string[];
      readonly offset: bigint;
      readonly moves?: { readonly lsn: number | bigint };
      /** For mirrors that mark deleted rows or keep a history; a tombstone has none. */
      readonly origin?: Origin;
      /** For a history: the row as it was, as far as the event has it. */
      readonly before?: readonly (string | null)[];
      readonly lsn?: Lsn;
    }
  | { readonly kind: 'truncate'; readonly lsn: Lsn; readonly offset: bigint; readonly origin?: Origin };
