import type { ByteWriter } from '#kafka/index.ts';
import { putLong, type ByteValue } from '../../encoding/bytes/byte-value.ts';
import type { ColumnType } from '../../encoding/column-type.ts';
import type { FieldType } from '../../schemas/field-type.ts';
import { isQuotedInJson } from './avro-values.ts';
import { byteValueOf } from './byte-values.ts';

/**
 * The common types' values as Avro, from bytes to bytes. Each takes the usual form alone, and gives what avro-values.ts gives for it
 * (test/unit/poller-bytes-avro.test.ts compares them); null for a type that always takes the plain way.
 */
export function avroByteValueOf(type: ColumnType, { base }: FieldType): ByteValue | null {
  switch (base) {
    case 'array':
      return null;
    case 'int':
    case 'long':
      return integer;
    case 'double':
      return double;
    case 'float':
      return float;
    case 'boolean':
      return boolean;
    case 'bytes':
      return type.name === 'bytea' ? hex : null;
    case 'string':
      if (!isQuotedInJson(type.name)) return text;
      return unquoted(byteValueOf(type));
  }
}

const minus = 45;
const zero = 48;
const nine = 57;
const backslash = 92;
const smallX = 120;
/** More may not fit a number. */
const longestInteger = 15;
/** A longer one's length takes two bytes. */
const longestShort = 63;

const integer: ByteValue = (from, start, end, to) => {
  const negative = from[start] === minus;
  if (end - start > longestInteger) return false;
  let value = 0;
  for (let at = negative ? start + 1 : start; at < end; at += 1) {
    const digit = (from[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  putLong(negative ? -value : value, to);
  return true;
};

const double: ByteValue = (from, start, end, to) => {
  to.at = to.bytes.writeDoubleLE(Number(from.toString('latin1', start, end)), to.at);
  return true;
};

const float: ByteValue = (from, start, end, to) => {
  to.at = to.bytes.writeFloatLE(Number(from.toString('latin1', start, end)), to.at);
  return true;
};

const boolean: ByteValue = (from, start, end, to) => {
  // t or f.
  if (end - start !== 1 || (from[start] !== 116 && from[start] !== 102)) return false;
  to.bytes[to.at] = from[start] === 116 ? 1 : 0;
  to.at += 1;
  return true;
};

/** Without a backslash, COPY's bytes are the text's. */
const text: ByteValue = (from, start, end, to) => {
  putLong(end - start, to);
  const { bytes } = to;
  let { at } = to;
  for (let index = start; index < end; index += 1) {
    const byte = from[index] ?? 0;
    if (byte === backslash) return false;
    bytes[at] = byte;
    at += 1;
  }
  to.at = at;
  return true;
};

/** `\\x00ff`, as COPY writes it. */
const hex: ByteValue = (from, start, end, to) => {
  if (from[start] !== backslash || from[start + 1] !== backslash || from[start + 2] !== smallX) return false;
  putLong((end - start - 3) >> 1, to);
  const { bytes } = to;
  let { at } = to;
  for (let index = start + 3; index < end; index += 2) {
    bytes[at] = (nibble(from[index] ?? 0) << 4) | nibble(from[index + 1] ?? 0);
    at += 1;
  }
  to.at = at;
  return true;
};

function nibble(digit: number): number {
  return digit <= nine ? digit - zero : digit - 87;
}

/** What is a short text in quotes in JSON: the length takes the place of the first quote. */
function unquoted(json: ByteValue | null): ByteValue | null {
  if (json === null) return null;
  return (from: Buffer, start: number, end: number, to: ByteWriter) => {
    const { at } = to;
    if (!json(from, start, end, to)) return false;
    const length = to.at - at - 2;
    if (length > longestShort) return false;
    to.bytes[at] = length * 2;
    to.at -= 1;
    return true;
  };
}
