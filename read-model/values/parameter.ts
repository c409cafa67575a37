import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { arrayLiteral } from './array-literal.ts';
import { bitText, byteaText } from './binary.ts';
import type { ColumnType } from './column-type.ts';
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
  if (type.element === null) return scalar(type.name, type.modifier);
  const element = scalar(type.element, type.modifier);
  return (value) => {
    if (!isArray(value)) throw unexpected(value, 'an array');
    return nestedArray(value, element);
  };
}

function nestedArray(values: readonly JsonValue[], element: ToParameter): string {
  if (!values.some(isArray)) return arrayLiteral(values.map((value) => (value === null ? null : element(value))));
  const inner = values.map((value) => {
    if (!isArray(value)) throw unexpected(value, 'an array, as its neighbours are');
    return nestedArray(value, element);
  });
  return `{${inner.join(',')}}`;
}

function scalar(name: string, modifier: number): ToParameter {
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
      return textual;
  }
}

const integer: ToParameter = (value) => {
  if (isWhole(value)) return String(value);
  return string(value, 'an integer');
};

function isWhole(value: JsonValue): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value);
}

const specialNumeric: Readonly<Record<string, string>> = { NAN: 'NaN', POSITIVE_INFINITY: 'Infinity', NEGATIVE_INFINITY: '-Infinity' };

const numeric: ToParameter = (value) => {
  if (typeof value === 'string') return specialNumeric[value] ?? value;
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
