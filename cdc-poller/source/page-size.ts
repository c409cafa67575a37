import type { TextRows } from './dialect.ts';

/** A page's values may take this many characters: with pages being read, encoded and sent at once, memory stays a small multiple of it. */
const pageCharacters = 2 * 2 ** 20;
/** Rows of a pass' first page, when nothing is known of their size. */
const firstRows = 250;

export function firstPageSize(maxRows: number): number {
  return Math.min(maxRows, firstRows);
}

/**
 * How many rows to ask for next: as many of the last page's mean size as fill the bound, growing fourfold at most. Pure.
 *
 * @param limit what the last page was asked for
 * @param read what it held, and how many characters its values had
 */
export function nextPageSize(limit: number, read: { readonly rows: number; readonly characters: number }, maxRows: number): number {
  const mean = Math.max(1, read.characters / Math.max(1, read.rows));
  return Math.max(1, Math.min(maxRows, limit * 4, Math.floor(pageCharacters / mean)));
}

export function charactersOf(rows: TextRows): number {
  let characters = 0;
  for (const row of rows) for (const value of row) characters += value === null ? 0 : value.length;
  return characters;
}
