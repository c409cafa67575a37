import { isLogPosition } from '../change-event.ts';
import { deepestLevel } from '../lossless-json.ts';

/** Reading compact JSON byte by byte, as far as is needed to pass over it: brackets and quotes must match, nothing else is looked at. */

const space = 32;
const quote = 34;
const comma = 44;
const zero = 48;
const nine = 57;
const colon = 58;
const openBracket = 91;
const backslash = 92;
const closeBracket = 93;
const openBrace = 123;
const closeBrace = 125;

/** Where the value begins whose member begins at `at`; -1 when there is no plain name there. */
export function valueAfterName(bytes: Buffer, at: number): number {
  if (bytes[at] !== quote) return -1;
  const { length } = bytes;
  let end = at + 1;
  while (end < length && bytes[end] !== quote) {
    const byte = bytes[end] ?? 0;
    if (byte === backslash || byte < space) return -1;
    end += 1;
  }
  return bytes[end + 1] === colon ? end + 2 : -1;
}

/** Whether the member that begins at `at` and whose value begins at `value` is called `name`. */
export function isNamed(bytes: Buffer, at: number, value: number, name: Buffer): boolean {
  const { length } = name;
  if (value - at !== length + 3) return false;
  for (let index = 0; index < length; index += 1) if (bytes[at + 1 + index] !== name[index]) return false;
  return true;
}

/** The first byte past the value that begins at `start`; -1 when it does not end, has white space around it, or is too deep. */
export function endOfValue(bytes: Buffer, start: number): number {
  const { length } = bytes;
  let depth = 0;
  let at = start;
  while (at < length) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) {
      at = endOfString(bytes, at);
      if (at < 0) return -1;
      if (depth === 0) return at;
      continue;
    }
    if (byte === openBrace || byte === openBracket) {
      depth += 1;
      if (depth > deepestLevel) return -1;
    } else if (byte === closeBrace || byte === closeBracket) {
      if (depth === 0) return at === start ? -1 : at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (byte === comma && depth === 0) return at === start ? -1 : at;
    else if (byte <= space && depth === 0) return -1;
    at += 1;
  }
  return -1;
}

/** The first byte past the string that begins at `start`; -1 when it does not end, or has a control character. */
function endOfString(bytes: Buffer, start: number): number {
  const { length } = bytes;
  let at = start + 1;
  while (at < length) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) return at + 1;
    if (byte < space) return -1;
    at += byte === backslash ? 2 : 1;
  }
  return -1;
}

export function isNull(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 4 && bytes[start] === 110 && bytes[start + 1] === 117 && bytes[start + 2] === 108 && bytes[start + 3] === 108;
}

/** A position of a log, or null; undefined for anything else. */
export function integerAt(bytes: Buffer, start: number, end: number): number | bigint | null | undefined {
  if (isNull(bytes, start, end)) return null;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < zero || byte > nine) return undefined;
    value = value * 10 + (byte - zero);
  }
  if (end - start > 1 && bytes[start] === zero) return undefined;
  if (Number.isSafeInteger(value)) return value;
  const whole = BigInt(bytes.toString('latin1', start, end));
  return isLogPosition(whole) ? whole : undefined;
}
