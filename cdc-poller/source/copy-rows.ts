/**
 * The rows of a page in the text form of Postgres's COPY: a line a row, tabs between columns, `\N` for null, and a backslash before what would be
 * taken for one of these. A row is looked at where it lies: nothing is made for its values until one is asked for as text.
 */
export class CopyRows {
  readonly bytes: Buffer;
  /** Of the row that `next` came to: where each column begins and ends in `bytes`; the end of a null is -1. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Where the row begins. */
  row = 0;
  #next = 0;

  /** @param bytes whole rows */
  constructor(bytes: Buffer, columns: number) {
    this.bytes = bytes;
    this.starts = new Int32Array(columns);
    this.ends = new Int32Array(columns);
  }

  /** Goes to the next row; false behind the last one. @throws RangeError for bytes that are no rows of so many columns */
  next(): boolean {
    if (this.#next >= this.bytes.length) return false;
    this.at(this.#next);
    return true;
  }

  /** Goes back to before the first row. */
  rewind(): void {
    this.#next = 0;
  }

  /** Goes to the row that begins there. */
  at(row: number): void {
    const { bytes, starts, ends } = this;
    const { length } = bytes;
    const columns = starts.length;
    let column = 0;
    let start = row;
    let at = row;
    for (; at < length; at += 1) {
      const byte = bytes[at] ?? 0;
      // Both are below nearly all others: one comparison for most bytes.
      if (byte > lineFeed || (byte !== tab && byte !== lineFeed)) continue;
      if (column < columns) {
        starts[column] = start;
        ends[column] = at - start === 2 && bytes[start] === backslash && bytes[start + 1] === capitalN ? -1 : at;
      }
      column += 1;
      start = at + 1;
      if (byte === lineFeed) break;
    }
    if (column !== columns || at >= length) throw new RangeError(`a row of ${column} columns in place of ${columns}`);
    this.row = row;
    this.#next = at + 1;
  }

  isNull(column: number): boolean {
    return this.ends[column] === -1;
  }

  /** Of a column of digits that is not null, as a transaction id of 32 bits is. */
  number(column: number): number {
    const { bytes } = this;
    const end = this.ends[column] ?? 0;
    let number = 0;
    for (let at = this.starts[column] ?? 0; at < end; at += 1) number = number * 10 + (bytes[at] ?? 0) - 48;
    return number;
  }

  /** The value as a query would give it; null is SQL's NULL. */
  text(column: number): string | null {
    const start = this.starts[column] ?? 0;
    const end = this.ends[column] ?? -1;
    return end < 0 ? null : textOf(this.bytes, start, end);
  }

  /** All values of the row, from the column `first` on. */
  texts(first: number): (string | null)[] {
    return Array.from({ length: this.starts.length - first }, (_, index) => this.text(first + index));
  }
}

const tab = 9;
const lineFeed = 10;
const backslash = 92;
const capitalN = 78;

/** What stands behind a backslash for a character that has no place in a line; anything else stands for itself. */
const escapes: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', v: '\v', f: '\f', r: '\r' };

function textOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  return text.includes('\\') ? text.replaceAll(/\\(.)/gsu, (_, sign: string) => escapes[sign] ?? sign) : text;
}
