import type { ColumnType } from '../../encoding/column-type.ts';
import { jsonBytes, type ByteValue } from '../../encoding/bytes/byte-value.ts';
import type { ByteWriter } from '#kafka/index.ts';
import { jsonString } from '../../encoding/json-string.ts';
import { encoderFor } from './value-encoders.ts';

/**
 * The common types' values from bytes to bytes. Each takes the usual form alone, tested to the last byte, and gives what value-encoders.ts gives for it
 * (test/unit/poller-bytes.test.ts compares them); null for a type that always takes the plain way.
 */
export function byteValueOf(type: ColumnType): ByteValue | null {
  if (encoderFor(type) === jsonString) return jsonBytes;
  if (type.isArray) return null;
  if (type.name === 'timestamptz') return timestampWithZone(type.modifier < 0 ? 6 : type.modifier);
  return Object.hasOwn(byName, type.name) ? (byName[type.name] ?? null) : null;
}

const quote = 34;
const plus = 43;
const minus = 45;
const dot = 46;
const zero = 48;
const nine = 57;
const colon = 58;
const blank = 32;
const capitalT = 84;
const capitalZ = 90;

const integer: ByteValue = (from, start, end, to) => digitsOnly(from, start, end, false) && copied(from, start, end, to);

const numeric: ByteValue = (from, start, end, to) => {
  if (!digitsOnly(from, start, end, true)) return false;
  put(to, quote);
  copied(from, start, end, to);
  put(to, quote);
  return true;
};

/** Up to seven digits before the dot, not beginning with a zero: what Java writes without an exponent. */
const float: ByteValue = (from, start, end, to) => {
  const first = from[start] === minus ? start + 1 : start;
  if (from[first] === zero || !digitsOnly(from, start, end, true)) return false;
  const at = from.subarray(start, end).indexOf(dot);
  const whole = at < 0 ? end : start + at;
  if (whole === first || whole - first > 7 || (at >= 0 && (whole === end - 1 || from[end - 1] === zero))) return false;
  copied(from, start, end, to);
  if (at < 0) {
    put(to, dot);
    put(to, zero);
  }
  return true;
};

const [yes, no] = [Buffer.from('true'), Buffer.from('false')];
const boolean: ByteValue = (from, start, end, to) => {
  // t or f.
  if (end - start !== 1 || (from[start] !== 116 && from[start] !== 102)) return false;
  to.raw(from[start] === 116 ? yes : no);
  return true;
};

const date: ByteValue = (from, start, end, to) => {
  if (end - start !== 10 || !isDate(from, start)) return false;
  put(to, quote);
  copied(from, start, end, to);
  put(to, capitalZ);
  put(to, quote);
  return true;
};

const time: ByteValue = (from, start, end, to) => {
  if (!isTime(from, start, end)) return false;
  put(to, quote);
  copied(from, start, end, to);
  put(to, capitalZ);
  put(to, quote);
  return true;
};

const timestamp: ByteValue = (from, start, end, to) => {
  if (!isTimestamp(from, start, end)) return false;
  const { at } = to;
  put(to, quote);
  copied(from, start, end, to);
  to.bytes[at + 11] = capitalT;
  put(to, capitalZ);
  put(to, quote);
  return true;
};

/** With as many digits of the second as the column has. */
function timestampWithZone(digits: number): ByteValue {
  return (from, start, end, to) => {
    const local = end - 3;
    if (from[local] !== plus || from[local + 1] !== zero || from[local + 2] !== zero || !isTimestamp(from, start, local)) return false;
    const { at } = to;
    put(to, quote);
    copied(from, start, local, to);
    to.bytes[at + 11] = capitalT;
    const fraction = Math.max(0, local - start - 20);
    if (fraction === 0 && digits > 0) put(to, dot);
    for (let missing = digits - fraction; missing > 0; missing -= 1) put(to, zero);
    put(to, capitalZ);
    put(to, quote);
    return true;
  };
}

const byName: Readonly<Record<string, ByteValue>> = {
  int2: integer,
  int4: integer,
  int8: integer,
  oid: integer,
  numeric,
  float4: float,
  float8: float,
  bool: boolean,
  date,
  time,
  timestamp,
};

function put(to: ByteWriter, byte: number): void {
  to.bytes[to.at] = byte;
  to.at += 1;
}

/** Always true. */
function copied(from: Buffer, start: number, end: number, to: ByteWriter): true {
  const { bytes } = to;
  let { at } = to;
  for (let index = start; index < end; index += 1) {
    bytes[at] = from[index] ?? 0;
    at += 1;
  }
  to.at = at;
  return true;
}

/** Digits behind a minus or none, and dots where they may be. */
function digitsOnly(from: Buffer, start: number, end: number, dots: boolean): boolean {
  for (let index = from[start] === minus ? start + 1 : start; index < end; index += 1) {
    const byte = from[index] ?? 0;
    if ((byte < zero || byte > nine) && !(dots && byte === dot)) return false;
  }
  return true;
}

function isDigits(from: Buffer, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) {
    const byte = from[index] ?? 0;
    if (byte < zero || byte > nine) return false;
  }
  return true;
}

/** `2026-11-22` */
function isDate(from: Buffer, start: number): boolean {
  return (
    isDigits(from, start, start + 4) &&
    from[start + 4] === minus &&
    isDigits(from, start + 5, start + 7) &&
    from[start + 7] === minus &&
    isDigits(from, start + 8, start + 10)
  );
}

/** `15:00:00.123456`, with digits behind the dot or without both. */
function isTime(from: Buffer, start: number, end: number): boolean {
  const length = end - start;
  return (
    (length === 8 || (length > 9 && from[start + 8] === dot && isDigits(from, start + 9, end))) &&
    isDigits(from, start, start + 2) &&
    from[start + 2] === colon &&
    isDigits(from, start + 3, start + 5) &&
    from[start + 5] === colon &&
    isDigits(from, start + 6, start + 8)
  );
}

/** Four digits of the year, no era, no zone. */
function isTimestamp(from: Buffer, start: number, end: number): boolean {
  return end - start >= 19 && from[start + 10] === blank && isDate(from, start) && isTime(from, start + 11, end);
}
