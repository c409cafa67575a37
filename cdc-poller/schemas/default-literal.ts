import { parseLossless, type JsonValue } from '#change-events/index.ts';
import type { ValueEncoder } from '../encoding/column-type.ts';
import type { ColumnDetail, FieldType } from './field-type.ts';

/** Types whose constants the server takes for one another, without changing what they say. */
const families = [
  ['text', 'character varying', 'character', 'bpchar'],
  ['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision'],
  ['bit', '"bit"', 'bit varying'],
] as const satisfies readonly (readonly string[])[];

function isKin(a: string, b: string): boolean {
  return a === b || families.some((family: readonly string[]) => family.includes(a) && family.includes(b));
}

/**
 * The text of a default that is a plain constant: `'new'::text`, `0`, `true`. Undefined for everything that would have to be evaluated, and for a constant
 * of quite another type than the column's, which the server would cast.
 */
export function literalText({ default: sql, castName }: ColumnDetail): string | undefined {
  if (sql === null) return undefined;
  const match = /^(?:(?<number>-?\d+(?:\.\d+)?)|(?<boolean>true|false)|B?'(?<quoted>(?:[^']|'')*)')(?:::(?<cast>[\w" .]+(?:\[\])*))?$/.exec(
    sql,
  );
  const { number, boolean, quoted, cast } = match?.groups ?? {};
  if (match === null || (cast !== undefined && !isKin(cast, castName))) return undefined;
  if (boolean !== undefined) return castName === 'boolean' ? boolean.slice(0, 1) : undefined;
  return number ?? quoted?.replaceAll("''", "'");
}

/** A default in the contract's form, as it would be in `after`; undefined where there is none that a schema could hold. */
export function defaultValue(
  detail: ColumnDetail | undefined,
  type: FieldType,
  modifier: number,
  encode: ValueEncoder,
): JsonValue | undefined {
  const text = detail === undefined ? undefined : literalText(detail);
  if (text === undefined) return undefined;
  const exact = detail?.castName === 'numeric' ? toScale(text, modifier) : text;
  try {
    return exact === undefined ? undefined : fit(parseLossless(encode(exact)), type);
  } catch {
    // What no value of the type would look like.
    return undefined;
  }
}

/** With the digits that the column would store; undefined where it would round. */
function toScale(text: string, modifier: number): string | undefined {
  if (modifier < 0 || !/^-?[\d.]+$/.test(text)) return text;
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
  const [whole = '', fraction = ''] = text.split('.');
  if (scale < 0 || fraction.length > scale) return undefined;
  return scale === 0 ? whole : `${whole}.${fraction.padEnd(scale, '0')}`;
}

function fit(value: JsonValue, { base }: FieldType): JsonValue | undefined {
  if (base === 'int' || base === 'long') return Number.isInteger(value) || typeof value === 'bigint' ? value : undefined;
  if (base === 'float' || base === 'double') return typeof value === 'number' ? value : undefined;
  if (base === 'boolean') return typeof value === 'boolean' ? value : undefined;
  // A default's items are of their union's first branch, which is null.
  if (base === 'array') return Array.isArray(value) && value.length === 0 ? value : undefined;
  return typeof value === 'string' ? value : undefined;
}
