import type { JsonValue, TableId } from '#change-events/index.ts';
import type { ToParameter } from '../decode/values/parameter.ts';

export type MirrorColumn = {
  readonly name: string;
  /** The type whose array carries this column to `unnest`, as SQL. */
  readonly carrier: string;
  /** Cast from the carrier to the column's type, as SQL; null when they are the same. */
  readonly cast: string | null;
  /** Whether the text of its values never needs quotes in an array literal. */
  readonly plain: boolean;
  readonly toParameter: ToParameter;
  readonly isUnavailable: (value: JsonValue) => boolean;
  /** NOT NULL, though no part of the key: the mirror lets go of it when the source does. */
  readonly required: boolean;
  /** The wider type, as SQL, that a value needs which this column's cannot hold; null for a type that none is known for. */
  readonly widerFor: ((value: JsonValue) => string | null) | null;
};

/** Why the mirror's table could not be altered, and what to do. */
export type Refusal = { readonly why: string; readonly remedy?: string | undefined };

/** A mirror table as the catalogue of the read database describes it. */
export type Mirror = {
  readonly source: TableId;
  readonly schema: string;
  readonly table: string;
  /** In the table's order, without `_lsn`. */
  readonly columns: readonly MirrorColumn[];
  /** Positions in `columns` of the primary key's columns, in the key's order. */
  readonly key: readonly number[];
  readonly columnNames: ReadonlySet<string>;
  /** How many of the columns that a table can have are used up: `_lsn` too, and those that were dropped. */
  readonly columnsSpent: number;
  /** Columns of the source that the mirror does not follow (`ignoreColumns`). */
  readonly ignored?: ReadonlySet<string>;
  /** What was asked of the mirror's columns and could not be done, by the demand's name. */
  readonly refusals?: ReadonlyMap<string, Refusal>;
  /** mirrored_tables.columns_version: who writes with another one is refused. */
  readonly columnsVersion: number;
  /** Changes when the mirror becomes another one (other-mirrors.ts). */
  readonly identity: string;
  /** Whether it gets the columns that its source gets: not where its columns are listed. */
  readonly follows: boolean;
  /** What becomes of a deleted row: it goes, or stays with the time in `_deleted_at`. */
  readonly deletes: 'remove' | 'mark';
  /** Whether each version of a row is kept in `<table>_history`. */
  readonly history: boolean;
};
