import { describeError, ownMember } from '#pipeline/index.ts';
import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { arrayLiteral } from './array-literal.ts';
import { bitText, byteaText } from './binary.ts';
import { vectorDelimiter, type ColumnType } from './column-type.ts';
import { comesAsBytes, hstoreText, textOfBytes } from './debezium-text.ts';
import { dateText, timeText } from './temporal.ts';

/** Turns a value of the contract (not null) into text that Postgres's input function for the type reads as exactly that value. */
export type ToParameter = (value: JsonValue) => string;

/**
 * The conversion for one column, made once: values then cost one call each.
 *
 * The conversion throws TypeError when a value is not of the contract's representation for that type; text that only looks right (a
 * letter in a number) is left to Postgres to refuse.
 */
export function toParameter(type: ColumnType): ToParameter {
  if (type.element === null) return scalar(type.name, type.modifier, type.kind);
  return arrayParameter(type.delimiters ?? [','], scalar(type.element, type.modifier, type.kind));
}

/** A column's value as text for Postgres. @throws ColumnMismatchError, JunkValueError, or TypeError for what no text of Postgres can hold */
export function toCell(name: string, value: JsonValue, write: ToParameter): string {
  const text = writeValue(name, value, write);
  // JSON can spell half a character; on its way to Postgres it would become another one.
  if (!text.isWellFormed()) throw new TypeError(`column ${name} has half a character (a surrogate without its other half)`);
  return text;
}

function writeValue(name: string, value: JsonValue, write: ToParameter): string {
  try {
    return write(value);
  } catch (error) {
    // Nested too deep to be written: that says nothing of the column's type.
    if (error instanceof RangeError) throw error;
    if (error instanceof JunkValueError) throw new JunkValueError(`column ${name}: ${error.message}`, { cause: error });
    throw new ColumnMismatchError(`column ${name}: ${describeError(error)}`, { cause: error });
  }
}

function arrayParameter([delimiter = ',', ...inner]: readonly string[], element: ToParameter): ToParameter {
  const convert = inner.length > 0 ? arrayParameter(inner, element) : element;
  return (value) => {
    if (!isArray(value)) throw unexpected(value, 'an array');
    if (delimiter === vectorDelimiter) return value.map(convert).join(delimiter);
    if (inner.length === 0) return nestedArray(value, convert, delimiter);
    return inner[0] === vectorDelimiter ? vectors(value, convert, delimiter) : arrayLiteral(value.map(nullable(convert)), delimiter);
  };
}

/** A vector has neither arrays nor nulls in it, so what has is a further dimension. */
function vectors(values: readonly JsonValue[], vector: ToParameter, delimiter: string): string {
  if (!values.some((value) => isArray(value) && value.some((one) => one === null || isArray(one))))
    return arrayLiteral(values.map(nullable(vector)), delimiter);
  return `{${values.map((value) => (isArray(value) ? vectors(value, vector, delimiter) : 'NULL')).join(delimiter)}}`;
}

function nullable(convert: ToParameter): (value: JsonValue) => string | null {
  return (value) => (value === null ? null : convert(value));
}

function nestedArray(values: readonly JsonValue[], element: ToParameter, delimiter: string): string {
  if (!values.some(isArray)) return arrayLiteral(values.map(nullable((value) => element(requireNoJunk(value)))), delimiter);
  const inner = values.map((value) => {
    if (!isArray(value)) throw unexpected(value, 'an array, as its neighbours are');
    return nestedArray(value, element, delimiter);
  });
  return `{${inner.join(delimiter)}}`;
}

/** How Java names an array that it was asked to write as a text: what Debezium makes of an array's further dimensions (docs/change-event.md). */
const javaArray = /^\[+(?:[BCDFIJSZ]|L[\w.$]+;)@[0-9a-f]+$/;

/** Text that replaced a value which was lost on the way: its event is at fault, not its mirror's column. */
export class JunkValueError extends TypeError {
  override readonly name = 'JunkValueError';
}

/** A value that is not of its column's type, or a key column that has none. */
export class ColumnMismatchError extends TypeError {
  override readonly name = 'ColumnMismatchError';
}

function requireNoJunk(value: JsonValue): JsonValue {
  if (typeof value === 'string' && value.startsWith('[') && javaArray.test(value)) {
    throw new JunkValueError(`${value} is what Debezium writes in place of an array's further dimensions: the value itself is lost`);
  }
  return value;
}

function scalar(name: string, modifier: number, kind: string | undefined): ToParameter {
  if (comesAsBytes(name, kind)) return (value) => textOfBytes(textual(value));
  switch (name) {
    case 'int2':
    case 'int4':
    case 'int8':
    case 'oid':
      return integer;
    case 'numeric':
      return numeric;
    case 'float4':
    case 'float8':
      return float;
    case 'bool':
      return boolean;
    case 'timestamptz':
    case 'timestamp':
    case 'date':
      return (value) => dateText(string(value), name);
    case 'time':
      return (value) => timeText(string(value));
    case 'bytea':
      return (value) => byteaText(string(value));
    case 'bit':
    case 'varbit':
      // bit(1) arrives as a boolean.
      return (value) => (typeof value === 'boolean' ? (value ? '1' : '0') : bitText(string(value), name === 'bit' ? modifier : -1));
    case 'json':
    case 'jsonb':
      return (value) => (typeof value === 'string' ? value : stringifyLossless(value));
    case 'point':
      return point;
    default:
      return /(?:^|\.)hstore$/.test(name) ? (value) => hstoreText(string(value)) : textual;
  }
}

const integer: ToParameter = (value) => {
  if (isWhole(value)) return String(value);
  // Debezium writes an element of a domain as the bytes of its text.
  return textOfBytes(string(value, 'an integer'));
};

function isWhole(value: JsonValue): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value);
}

const specialNumeric: Readonly<Record<string, string>> = { NAN: 'NaN', POSITIVE_INFINITY: 'Infinity', NEGATIVE_INFINITY: '-Infinity' };

const numeric: ToParameter = (value) => {
  if (typeof value === 'string') return ownMember(specialNumeric, value) ?? textOfBytes(value);
  // A number has lost digits by now unless it is whole.
  if (isWhole(value)) return String(value);
  throw unexpected(value, 'a decimal as text');
};

const float: ToParameter = (value) => {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  return typeof value === 'bigint' ? String(value) : string(value, 'a number');
};

/** MariaDB has no boolean: it writes tinyint(1), 0 and 1. */
const boolean: ToParameter = (value) => {
  if (value === 0 || value === 1) return value === 1 ? 't' : 'f';
  if (typeof value !== 'boolean') throw unexpected(value, 'true or false');
  return value ? 't' : 'f';
};

const textual: ToParameter = (value) => {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  throw unexpected(value, 'text');
};

/** Debezium's struct of a point. */
const point: ToParameter = (value) => {
  if (typeof value !== 'object' || value === null || isArray(value)) return string(value, 'a point');
  const { x, y } = value;
  if (x === undefined || y === undefined || x === null || y === null) throw unexpected(value, 'a point with x and y');
  return `(${float(x)},${float(y)})`;
};

function string(value: JsonValue, expected = 'text'): string {
  if (typeof value !== 'string') throw unexpected(value, expected);
  return value;
}

function unexpected(value: JsonValue, expected: string): TypeError {
  const shown = stringifyLossless(value);
  return new TypeError(`expected ${expected}, got ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}`);
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
