import { isRow, type Operation, type Row } from './change-event.ts';
import { parseLossless } from './lossless-json.ts';

/** What applying an event needs of it. The rest of the envelope is skipped unread; `before` is only parsed when somebody asks. */
export type ScannedEvent = {
  readonly op: Operation;
  readonly after: Row | null;
  /** The log's position (`source.lsn`); null when the strategy knows none. */
  readonly lsn: number | bigint | null;
  /** Where `before` stands in the bytes; null for a null. */
  readonly before: Span | null;
};

type Span = { readonly start: number; readonly end: number };

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

const operations: Readonly<Record<string, Operation>> = { '"c"': 'c', '"u"': 'u', '"d"': 'd', '"r"': 'r', '"t"': 't' };
const members = { before: Buffer.from('before'), after: Buffer.from('after'), source: Buffer.from('source'), op: Buffer.from('op') };
const lsnName = Buffer.from('lsn');
const requiredOfSource = ['connector', 'name', 'db', 'schema', 'table'].map((name) => Buffer.from(name));

/**
 * Reads an event in one pass over its bytes and makes no object of what is not needed: a quarter of a full decoding's time. Knows only
 * compact JSON as Debezium and the poller write it, and answers null to everything else, valid or not: that is for the full decoder, whose
 * word counts. What is skipped is only checked for its brackets and quotes.
 */
export function scanEvent(bytes: Buffer): ScannedEvent | null {
  if (bytes[0] !== openBrace) return null;
  let op: Operation | undefined;
  let before: Span | null = null;
  let after: Row | null = null;
  let lsn: number | bigint | null | undefined;
  let at = 1;
  for (;;) {
    const name = at;
    const start = valueAfterName(bytes, name);
    if (start < 0) return null;
    const source = isNamed(bytes, name, start, members.source) ? readSource(bytes, start) : null;
    if (source === undefined) return null;
    const end = source === null ? endOfValue(bytes, start) : source.end;
    if (end < 0) return null;
    if (source !== null) {
      lsn = source.lsn;
    } else if (isNamed(bytes, name, start, members.after)) {
      const row = isNull(bytes, start, end) ? null : rowAt(bytes, { start, end });
      if (row === undefined) return null;
      after = row;
    } else if (isNamed(bytes, name, start, members.before)) {
      if (bytes[start] !== openBrace && !isNull(bytes, start, end)) return null;
      before = bytes[start] === openBrace ? { start, end } : null;
    } else if (isNamed(bytes, name, start, members.op)) {
      op = operations[bytes.toString('latin1', start, end)];
    }
    at = end + 1;
    if (bytes[end] === comma) continue;
    if (bytes[end] !== closeBrace || at !== bytes.length || op === undefined || lsn === undefined) return null;
    return { op, after, lsn, before };
  }
}

/** The row that stands at `span`; undefined when that is none. */
export function rowAt(bytes: Buffer, { start, end }: Span): Row | undefined {
  if (bytes[start] !== openBrace) return undefined;
  const text = bytes.toString('utf8', start, end);
  try {
    const value = parseLossless(text);
    return isRow(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** `source`: its lsn, null without, and where it ends; undefined when it is not what the contract asks for. */
function readSource(bytes: Buffer, begin: number): { readonly lsn: number | bigint | null; readonly end: number } | undefined {
  if (bytes[begin] !== openBrace) return undefined;
  let lsn: number | bigint | null | undefined = null;
  let found = 0;
  let at = begin + 1;
  for (;;) {
    const name = at;
    const start = valueAfterName(bytes, name);
    const end = start < 0 ? -1 : endOfValue(bytes, start);
    if (end < 0) return undefined;
    if (isNamed(bytes, name, start, lsnName)) {
      lsn = integerAt(bytes, start, end);
    } else if (bytes[start] === quote) {
      for (const required of requiredOfSource) if (isNamed(bytes, name, start, required)) found += 1;
    }
    at = end + 1;
    if (bytes[end] === comma) continue;
    if (bytes[end] !== closeBrace || found !== requiredOfSource.length || lsn === undefined) return undefined;
    return { lsn, end: end + 1 };
  }
}

/** Where the value begins whose member begins at `at`; -1 when there is no plain name there. */
function valueAfterName(bytes: Buffer, at: number): number {
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
function isNamed(bytes: Buffer, at: number, value: number, name: Buffer): boolean {
  const { length } = name;
  if (value - at !== length + 3) return false;
  for (let index = 0; index < length; index += 1) if (bytes[at + 1 + index] !== name[index]) return false;
  return true;
}

/** The first byte past the value that begins at `start`; -1 when it does not end, or has white space around it. */
function endOfValue(bytes: Buffer, start: number): number {
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
    if (byte === openBrace || byte === openBracket) depth += 1;
    else if (byte === closeBrace || byte === closeBracket) {
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

function isNull(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 4 && bytes[start] === 110 && bytes[start + 1] === 117 && bytes[start + 2] === 108 && bytes[start + 3] === 108;
}

/** A whole number that is not negative, or null; undefined for anything else. */
function integerAt(bytes: Buffer, start: number, end: number): number | bigint | null | undefined {
  if (isNull(bytes, start, end)) return null;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < zero || byte > nine) return undefined;
    value = value * 10 + (byte - zero);
  }
  if (end - start > 1 && bytes[start] === zero) return undefined;
  return Number.isSafeInteger(value) ? value : BigInt(bytes.toString('latin1', start, end));
}
