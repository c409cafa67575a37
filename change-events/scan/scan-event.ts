import { isRow, toRowValues, type Operation, type Row, type RowValues } from '../change-event.ts';
import { parseLossless } from '../lossless-json.ts';
import { createEventTails, type EventTails } from './event-tails.ts';
import { createRowLayout, type RowLayout } from './row-layout.ts';
import { endOfValue, integerAt, isNamed, isNull, valueAfterName } from './skip.ts';

/** What applying an event needs of it. Everything else in the envelope is skipped unread; `before` is only parsed when somebody asks. */
export type ScannedEvent = {
  readonly op: Operation;
  readonly after: RowValues | null;
  /** The log's position (`source.lsn`); null when the strategy knows none. */
  readonly lsn: number | bigint | null;
  /** Where `before` is in the bytes; null for a null. */
  readonly before: Span | null;
};

type Span = { readonly start: number; readonly end: number };

const quote = 34;
const comma = 44;
const openBrace = 123;
const closeBrace = 125;

const operations: Readonly<Record<string, Operation>> = { '"c"': 'c', '"u"': 'u', '"d"': 'd', '"r"': 'r', '"t"': 't' };
const members = { before: Buffer.from('before'), after: Buffer.from('after'), source: Buffer.from('source'), op: Buffer.from('op') };
const lsnName = Buffer.from('lsn');
const requiredOfSource = ['connector', 'name', 'db', 'schema', 'table'].map((name) => Buffer.from(name));

/** What the events of one topic have in common, as far as they were read; it makes reading faster and changes nothing else. */
export type ScanMemory = { readonly layout: RowLayout; readonly tails: EventTails };

export function createScanMemory(): ScanMemory {
  return { layout: createRowLayout(), tails: createEventTails() };
}

/**
 * Reads an event in one pass over its bytes and makes no object of what is not needed: a twentieth of a full decoding's time. Knows only
 * compact JSON as Debezium and the poller write it, and answers null to everything else, valid or not: the full decoder reads it then, and
 * decides. What is skipped is only checked for its brackets and quotes.
 */
export function scanEvent(bytes: Buffer, { layout, tails }: ScanMemory): ScannedEvent | null {
  if (bytes[0] !== openBrace) return null;
  let op: Operation | undefined;
  let before: Span | null = null;
  let after: RowValues | null = null;
  let source: Source | undefined;
  /** What follows the row, while that says everything else; -1 when it does not. */
  let tailAt = -1;
  let at = 1;
  for (;;) {
    const name = at;
    const start = valueAfterName(bytes, name);
    if (start < 0) return null;
    let end: number;
    if (isNamed(bytes, name, start, members.source)) {
      source = readSource(bytes, start);
      if (source === undefined) return null;
      ({ end } = source);
    } else if (isNamed(bytes, name, start, members.after)) {
      const read = readAfter(bytes, start, layout);
      if (read === undefined) return null;
      after = read.row;
      ({ end } = read);
      if (op === undefined && source === undefined) {
        const tail = tails.match(bytes, end);
        if (tail !== null) return { op: tail.op, after, lsn: tail.lsn, before };
        tailAt = end;
      } else tailAt = -1;
    } else {
      end = endOfValue(bytes, start);
      if (end < 0) return null;
      if (isNamed(bytes, name, start, members.before)) {
        if (bytes[start] !== openBrace && !isNull(bytes, start, end)) return null;
        before = bytes[start] === openBrace ? { start, end } : null;
        tailAt = -1;
      } else if (isNamed(bytes, name, start, members.op)) {
        op = operations[bytes.toString('latin1', start, end)];
      }
    }
    at = end + 1;
    if (bytes[end] === comma) continue;
    if (bytes[end] !== closeBrace || at !== bytes.length || op === undefined || source === undefined) return null;
    if (tailAt >= 0) tails.learn(bytes, tailAt, op, source.lsnAt);
    return { op, after, lsn: source.lsn, before };
  }
}

/** `after`, and where it ends; undefined when it is neither a row nor null. */
function readAfter(bytes: Buffer, start: number, layout: RowLayout): { readonly row: RowValues | null; readonly end: number } | undefined {
  const known = layout.read(bytes, start);
  if (known !== null) return known;
  const end = endOfValue(bytes, start);
  if (end < 0) return undefined;
  if (isNull(bytes, start, end)) return { row: null, end };
  const row = rowAt(bytes, { start, end });
  if (row === undefined) return undefined;
  const values = toRowValues(row);
  layout.learn(values.names);
  return { row: values, end };
}

/** The row at `span`; undefined when that is none. */
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

/** `source`: its lsn, and where that is (null and -1 without), and where it ends. */
type Source = { readonly lsn: number | bigint | null; readonly lsnAt: number; readonly end: number };

/** Undefined when it is not what the contract asks for. */
function readSource(bytes: Buffer, begin: number): Source | undefined {
  if (bytes[begin] !== openBrace) return undefined;
  let lsn: number | bigint | null | undefined = null;
  let lsnAt = -1;
  let found = 0;
  let at = begin + 1;
  for (;;) {
    const name = at;
    const start = valueAfterName(bytes, name);
    const end = start < 0 ? -1 : endOfValue(bytes, start);
    if (end < 0) return undefined;
    if (isNamed(bytes, name, start, lsnName)) {
      lsn = integerAt(bytes, start, end);
      lsnAt = lsn === null ? -1 : start;
    } else if (bytes[start] === quote) {
      for (const required of requiredOfSource) if (isNamed(bytes, name, start, required)) found += 1;
    }
    at = end + 1;
    if (bytes[end] === comma) continue;
    if (bytes[end] !== closeBrace || found !== requiredOfSource.length || lsn === undefined) return undefined;
    return { lsn, lsnAt, end: end + 1 };
  }
}
