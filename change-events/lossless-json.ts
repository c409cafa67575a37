/** A JSON value as this project reads it: integers beyond 2^53 are `bigint`, every other number a JS number. */
export type JsonValue = string | number | bigint | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

declare global {
  interface JSON {
    /** ES2025: the reviver also sees the source text of primitive values; TypeScript's library does not declare it yet. */
    parse(text: string, reviver: (name: string, value: JsonValue, context: { readonly source?: string }) => JsonValue): JsonValue;
  }
}

/** Every integer of fewer digits fits a JS number; of those with as many, the ones up to this text. */
const wideDigits = 16;
const largestSafe = String(Number.MAX_SAFE_INTEGER);

/**
 * Parses JSON without losing a digit of an integer. `JSON.parse` alone rounds integers beyond 2^53; its reviver sees the source
 * text (`context.source`, ES2025) but costs several times more, so it only runs when the text holds such a run of digits.
 *
 * @throws SyntaxError when the text is not JSON
 */
export function parseLossless(text: string): JsonValue {
  return hasWideNumber(text) ? JSON.parse(text, keepIntegers) : JSON.parse(text);
}

/** Values inside one another, beyond what any source writes: who walks through a value must not come to the end of the stack. */
export const deepestLevel = 500;

/** Whether brackets are nested more than {@link deepestLevel} deep. For what is no JSON the answer means nothing. */
export function isTooDeep(bytes: Buffer): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) at = endOfText(bytes, at);
    else if (byte === openBracket || byte === openBrace) {
      depth += 1;
      if (depth > deepestLevel) return true;
    } else if (byte === closeBracket || byte === closeBrace) depth -= 1;
  }
  return false;
}

/** Where the text that begins at `start` has its closing quote; the end of the bytes without one. */
function endOfText(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

const quote = 34;
const openBracket = 91;
const backslash = 92;
const closeBracket = 93;
const openBrace = 123;
const closeBrace = 125;

/** A run of as many digits as a wide number has covers one of every so many characters: only these are looked at. */
function hasWideNumber(text: string): boolean {
  const { length } = text;
  for (let at = wideDigits - 1; at < length; at += wideDigits) {
    if (!isDigit(text, at)) continue;
    let start = at;
    let end = at + 1;
    while (isDigit(text, start - 1)) start -= 1;
    while (isDigit(text, end)) end += 1;
    const run = end - start;
    if (run > wideDigits || (run === wideDigits && text.slice(start, end) > largestSafe)) return true;
  }
  return false;
}

/** Also false outside of the text. */
function isDigit(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 48 && unit <= 57;
}

function keepIntegers(_name: string, value: JsonValue, context: { readonly source?: string }): JsonValue {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context.source;
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** The inverse of {@link parseLossless}: JSON text in which a `bigint` is a JSON number with all its digits. */
export function stringifyLossless(value: JsonValue): string {
  if (typeof value === 'bigint') return value.toString();
  if (Object.is(value, -0)) return '-0.0';
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(stringifyLossless).join(',')}]`;
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}:${stringifyLossless(member)}`)
    .join(',')}}`;
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
