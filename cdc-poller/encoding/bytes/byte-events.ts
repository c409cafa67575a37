import type { Operation } from '#change-events/index.ts';
import type { CopyRows } from '../../source/copy-rows.ts';
import type { ByteWriter } from '#kafka/index.ts';

/** Writes a table's events from rows that are bytes: byte for byte what its EventEncoder makes of the same rows as texts. */
export type ByteEncoder = {
  /** Writes the row's name, as EventEncoder's `key` gives it, of the row that `rows` is at. `isUtf8`: whether all bytes of the page are. @throws CdcError VALUE_UNREADABLE */
  key(rows: CopyRows, to: ByteWriter, isUtf8: boolean): void;
  /** Writes the message's key, of the row whose name is `key`; null where that is the name. @throws CdcError VALUE_UNREADABLE */
  readonly wireKey: ((rows: CopyRows, key: ByteWriter, to: ByteWriter, isUtf8: boolean) => void) | null;
  /** Begins a page: what all its events have in common. `publishedAt` in ms since the epoch. */
  page(facts: { readonly op: Operation; readonly publishedAt: number }): PageEncoder;
};

export type PageEncoder = {
  /** Writes the value of the row that `rows` is at, of the transaction in the page's first column. @throws CdcError VALUE_UNREADABLE */
  value(rows: CopyRows, to: ByteWriter, isUtf8: boolean): void;
};
