import type { ByteWriter } from '#kafka/index.ts';
import type { WallClock } from '../../fence/local-time.ts';
import type { CopyRows } from '../../source/copy-rows.ts';
import { millisOf } from '../event-encoder.ts';

const [zero, plus, minus, dot, colon, blank] = [48, 43, 45, 46, 58, 32];

/** As {@link changedAtMillis}: of the first of these columns that is not null. Rows of a day follow each other: its midnight is kept. */
export function changedAtReader(columns: readonly number[], clock: WallClock | null): (rows: CopyRows) => number | bigint | null {
  let day = -1;
  let midnight = 0;
  /** Of `2026-11-22 15:00:00.123456+00`; -1 for any other text, of which {@link millisOf} knows more. */
  const plainMillis = ({ bytes: from, starts, ends }: CopyRows, column: number): number => {
    const start = starts[column] ?? 0;
    const zone = (ends[column] ?? 0) - 3;
    // A year of four digits, from 1000 on.
    if (zone - start < 19 || from[start] === zero) return -1;
    if (from[zone] !== plus || number(from, zone + 1, zone + 3) !== 0) return -1;
    if (from[start + 4] !== minus || from[start + 7] !== minus || from[start + 10] !== blank) return -1;
    if (from[start + 13] !== colon || from[start + 16] !== colon) return -1;
    const year = number(from, start, start + 4);
    const month = number(from, start + 5, start + 7);
    const date = number(from, start + 8, start + 10);
    const hour = number(from, start + 11, start + 13);
    const minute = number(from, start + 14, start + 16);
    const second = number(from, start + 17, start + 19);
    let fraction = 0;
    if (zone - start > 19) {
      if (from[start + 19] !== dot || zone - start < 21) return -1;
      // Three digits of it; Postgres leaves zeros at the end out.
      for (let at = start + 20; at < start + 23; at += 1) fraction = fraction * 10 + (at < zone ? number(from, at, at + 1) : 0);
    }
    if (year < 0 || month < 0 || date < 0 || hour < 0 || minute < 0 || second < 0 || fraction < 0) return -1;
    const asked = (year * 100 + month) * 100 + date;
    if (asked !== day) {
      day = asked;
      midnight = Date.UTC(year, month - 1, date);
    }
    return midnight + ((hour * 60 + minute) * 60 + second) * 1000 + fraction;
  };
  return (rows) => {
    const column = columns.find((one) => !rows.isNull(one));
    if (column === undefined) return null;
    const millis = clock === null ? plainMillis(rows, column) : -1;
    return millis < 0 ? millisOf(rows.text(column), clock) : millis;
  };
}

/** As JSON. */
export function putMillis(millis: number | bigint | null, to: ByteWriter): void {
  // Beyond 2001 and this side of 2286: of 13 digits.
  if (typeof millis === 'number' && millis >= 1e12 && millis < 1e13) putDigits(millis, to);
  else to.text(String(millis));
}

/** Two halves, as numbers of 32 bits: of larger ones, every division is one of floats. */
function putDigits(millis: number, to: ByteWriter): void {
  to.reserve(13);
  const { bytes, at } = to;
  let high = Math.floor(millis / 1e6);
  let low = (millis - high * 1e6) | 0;
  for (let index = at + 12; index > at + 6; index -= 1) {
    bytes[index] = zero + (low % 10);
    low = (low / 10) | 0;
  }
  for (let index = at + 6; index >= at; index -= 1) {
    bytes[index] = zero + (high % 10);
    high = (high / 10) | 0;
  }
  to.at = at + 13;
}

/** Below zero where one of these is no digit. */
function number(from: Buffer, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (from[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) return -1e9;
    value = value * 10 + digit;
  }
  return value;
}
