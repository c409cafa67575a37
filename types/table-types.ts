import type { Member } from '#change-events/types/index.ts';
import type { TableId } from '#change-events/index.ts';

export type Strategy = 'query' | 'log';

/** A column in its type's form. `isSure`: false where the catalogue cannot know it to the letter, so that another source may differ. */
export type TypedMember = Member & { readonly isSure: boolean };

/** What is known of a row before its change. */
export type Before =
  /** Nothing: a query cannot know it, or the log has nothing of it. */
  | { readonly kind: 'none' }
  /** These columns of it, where the change is a delete; and where it is an update that may change one of them. */
  | { readonly kind: 'columns'; readonly columns: readonly string[]; readonly inUpdates: boolean }
  /** All of it. */
  | { readonly kind: 'row' };

/** What a file says of one table. */
export type TableTypes = {
  readonly source: TableId;
  readonly topic: string;
  readonly strategy: Strategy;
  readonly row: readonly TypedMember[];
  /** Empty where events have no key. */
  readonly key: readonly TypedMember[];
  readonly before: Before;
  /** Columns that may have a placeholder in place of a large value that an update left alone. */
  readonly apart: readonly string[];
};

/** A table that has no types, and why. `named`: the configuration names it, rather than a pattern that it happens to match. */
export type UnfitTable = { readonly source: TableId; readonly why: string; readonly named: boolean };

export type FoundTypes = { readonly tables: readonly TableTypes[]; readonly unfit: readonly UnfitTable[] };
