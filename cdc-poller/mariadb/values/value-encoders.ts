import { anyDecimals, isBinary, isInteger } from './types.ts';
import type { EventColumn, KeyText } from '../../encoding/event-encoder.ts';
import { javaNumber } from '../../encoding/java-number.ts';
import { jsonString } from '../../encoding/json-string.ts';
import type { ValueEncoder } from '../../encoding/column-type.ts';

/**
 * Values of MariaDB and MySQL in the forms of Debezium's connector (decimals and times as strings), from the server's own texts; bytes and bits come as hex,
 * floats as doubles (types.ts). Where Debezium contradicts itself, as it does between its snapshot and its stream, this is the form of
 * its stream; where it loses something, the value stays true (docs/poller.md lists both).
 */
export function encodeMariadbColumn({ type, notNull = false }: EventColumn): ValueEncoder {
  const { name, modifier } = type;
  if (name === 'bit') return bits(modifier);
  // With a number of decimals it is a double to Debezium.
  if (name === 'float') return modifier === anyDecimals ? float : double;
  if (name === 'date' || name === 'datetime' || name === 'timestamp') return moment(name, notNull, modifier);
  return encoders[name] ?? (isInteger(name) ? integer : isBinary(name) ? base64 : jsonString);
}

/** As keyText is of Postgres. A date that is none would be the epoch in a key, and one with the row that has it. */
export const mariadbKeyText: KeyText = ({ type: { name }, collation }) => {
  if (collation === 'padded') return (text) => text.replace(/ +$/, '');
  if (name === 'double') return (text) => (/^-0(?:\.0*)?$/.test(text) ? '0' : text);
  if (name !== 'date' && name !== 'datetime' && name !== 'timestamp') return null;
  return (text) => {
    if (isNoDate(text)) throw new TypeError(`a key cannot hold the date ${text}`);
    return text;
  };
};

function isNoDate(text: string): boolean {
  return text.startsWith('00', 5) || text.startsWith('00', 8);
}

/** Zeros are filled in front of some: `000042`, the year `0000`. Whatever else a column may have become is no number. */
const integer: ValueEncoder = (text) => {
  if (!/^-?\d+$/.test(text)) throw new TypeError(`not an integer: ${text}`);
  return text.replace(/^(-?)0+(?=\d)/, '$1');
};
const double: ValueEncoder = (text) => javaNumber(text.replace(/e(?=\d)/, 'e+'));
/** The shortest digits that a float of 32 bits reads back the same from: of a double that is one, no digit that counts is lost. */
const float: ValueEncoder = (text) => {
  const value = Number(text);
  if (Object.is(value, -0)) return '-0.0';
  for (let digits = 1; digits < 9; digits += 1) {
    const shorter = value.toPrecision(digits);
    if (Math.fround(Number(shorter)) === value) return javaNumber(shorter);
  }
  return javaNumber(value.toPrecision(9));
};
const base64: ValueEncoder = (text) => `"${Buffer.from(text, 'hex').toString('base64')}"`;
/** Times of the day; and durations, which Debezium makes null of. */
const time: ValueEncoder = (text) => `"${shorten(text)}Z"`;

const encoders: Readonly<Record<string, ValueEncoder>> = {
  decimal: (text) => `"${text}"`,
  double,
  time,
};

/**
 * `2026-11-22 15:00:00.100` → `2026-11-22T15:00:00.100Z`: a timestamp with its column's digits, a datetime without zeros at the end. A date
 * that is none (`0000-00-00`, `2026-02-00`) is null, or the epoch where the column takes no null.
 */
function moment(name: 'date' | 'datetime' | 'timestamp', notNull: boolean, digits: number): ValueEncoder {
  const fraction = digits > 0 ? `.${'0'.repeat(digits)}` : '';
  const epoch = { date: '1970-01-01Z', datetime: '1970-01-01T00:00:00Z', timestamp: `1970-01-01T00:00:00${fraction}Z` }[name];
  const none = notNull ? `"${epoch}"` : 'null';
  return (text) => {
    if (isNoDate(text)) return none;
    const exact = name === 'timestamp' ? text : shorten(text);
    return `"${exact.replace(' ', 'T')}Z"`;
  };
}

/** Without the zeros at the end of a fraction. */
function shorten(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** Debezium: bit(1) is a boolean; longer ones base64 of their bytes. */
function bits(length: number): ValueEncoder {
  if (length <= 1) return (text) => (/^0*$/.test(text) ? 'false' : 'true');
  return (text) => `"${bytesOfBits(text, length).toString('base64')}"`;
}

/** Bytes of a bit column, from hex digits: the lowest bit first. */
export function bytesOfBits(text: string, length: number): Buffer {
  const value = Buffer.from(text.padStart(Math.ceil(length / 8) * 2, '0'), 'hex');
  return Buffer.from(value.toReversed());
}
