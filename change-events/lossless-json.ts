/** A JSON value as this project reads it: integers beyond 2^53 are `bigint`, every other number a JS number. */
export type JsonValue = string | number | bigint | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

declare global {
  interface JSON {
    /** ES2025: the reviver also sees the source text of primitive values; TypeScript's library does not declare it yet. */
    parse(text: string, reviver: (name: string, value: JsonValue, context: { readonly source?: string }) => JsonValue): JsonValue;
  }
}

/** What only Debezium's metadata carries beyond 2^53; no reader needs it exact, so it does not push an event off the fast path. */
const nanosecondStamps = /"ts_(?:us|ns)":\d+/g;
const sixteenDigits = /\d{16}/;

/**
 * Parses JSON without losing a digit of an integer. `JSON.parse` alone rounds integers beyond 2^53; its reviver sees the source
 * text (`context.source`, ES2025) but costs several times more, so it only runs when the text holds a run of sixteen digits.
 *
 * @throws SyntaxError when the text is not JSON
 */
export function parseLossless(text: string): JsonValue {
  return sixteenDigits.test(text.replace(nanosecondStamps, '')) ? JSON.parse(text, keepIntegers) : JSON.parse(text);
}

function keepIntegers(_name: string, value: JsonValue, context: { readonly source?: string }): JsonValue {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context.source;
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** The inverse of {@link parseLossless}: JSON text in which a `bigint` is a JSON number with all its digits. */
export function stringifyLossless(value: JsonValue): string {
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(stringifyLossless).join(',')}]`;
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}:${stringifyLossless(member)}`)
    .join(',')}}`;
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
