import type { ReadRow, TableRows } from '#cdc-poller/rows.ts';
import type { Suspect } from './difference.ts';
import { isSameRow } from './values.ts';
import type { Column } from '#comparison/canonical/shape.ts';

/** Both sides of one mirrored table, and how to name a key of one side on the other. */
export type Pair = {
  readonly columns: readonly Column[];
  /** Whether a value of the source is lost on the way to the mirror; none by default. */
  readonly isLost?: (column: string, text: string) => boolean;
  readonly source: TableRows;
  readonly mirror: TableRows;
  /** The keys alone, which is all that the second walk needs. */
  readonly sourceKeys: TableRows;
  readonly mirrorKeys: TableRows;
  /** The same text for a key on both sides. */
  readonly nameOf: (row: ReadRow) => string;
  readonly textOf: (row: ReadRow) => string;
  /** A key in the words of the other side. */
  readonly toMirror: (row: ReadRow) => readonly string[];
  readonly toSource: (row: ReadRow) => readonly string[];
};

export type Page = { readonly side: 'source' | 'mirror'; readonly rows: number; readonly suspects: readonly Suspect[] };

/**
 * Walks through a table a page at a time: each row of the source is looked up in the mirror by its key, then each key of the mirror in the source. So neither
 * side's order counts, and both answer from the index of the key. Reads each side once and keeps one page; what differs may be a change on its way.
 */
export async function* walk(pair: Pair, pageRows: number): AsyncGenerator<Page> {
  const { columns, source, mirror, sourceKeys, mirrorKeys, nameOf } = pair;
  for await (const rows of source.pages(pageRows)) {
    const mirrored = byName(await mirror.byKeys(rows.map(pair.toMirror)), nameOf);
    const different = rows.filter((row) => {
      const there = mirrored.get(nameOf(row));
      return there === undefined || !isSameRow(columns, row.values, there.values);
    });
    yield { side: 'source', rows: rows.length, suspects: different.map((row) => suspectAtSource(pair, row)) };
  }
  for await (const rows of mirrorKeys.pages(pageRows)) {
    const there = byName(await sourceKeys.byKeys(rows.map(pair.toSource)), nameOf);
    const gone = rows.filter((row) => !there.has(nameOf(row)));
    yield { side: 'mirror', rows: rows.length, suspects: gone.map((row) => suspectInMirror(pair, row)) };
  }
}

function byName(rows: readonly ReadRow[], nameOf: (row: ReadRow) => string): ReadonlyMap<string, ReadRow> {
  return new Map(rows.map((row) => [nameOf(row), row]));
}

function suspectAtSource({ nameOf, textOf, toMirror }: Pair, row: ReadRow): Suspect {
  return { name: nameOf(row), key: textOf(row), sourceKey: row.key, mirrorKey: toMirror(row) };
}

function suspectInMirror({ nameOf, textOf, toSource }: Pair, row: ReadRow): Suspect {
  return { name: nameOf(row), key: textOf(row), sourceKey: toSource(row), mirrorKey: row.key };
}
