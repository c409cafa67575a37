import { ownMember } from '#pipeline/index.ts';
import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { canonicalInterval } from './interval.ts';
import { canonicalJson, isList, parseJsonTree, plainNumber, type JsonTree } from './json.ts';
import type { Column, ValueKind } from './shape.ts';
import { canonicalClock, canonicalInstant } from './time.ts';

/**
 * The canonical text of one column's value in an event. Exact: numeric keeps its scale, times their microseconds, integers their
 * digits. Null is null.
 */
export function canonicalFromEvent(column: Column, value: JsonValue): string | null {
  if (value === null) return null;
  if (column.array) return typeof value === 'object' ? list(value, (element) => eventScalar(column.kind, element)) : String(value);
  return eventScalar(column.kind, value);
}

/** The canonical text of the same value as the ledger has it: the text that `jsonb_each_text(to_jsonb(row))` gives. */
export function canonicalFromLedger(column: Column, text: string | null): string | null {
  if (text === null) return null;
  if (!column.array) return ledgerScalar(column.kind, text);
  const tree = parseJsonTree(text);
  return isList(tree) ? ledgerList(column.kind, tree) : text;
}

function list(value: JsonValue, element: (value: JsonValue) => string | null): string {
  if (!isArray(value)) return stringifyLossless(value);
  return `[${value.map((member) => (isArray(member) ? list(member, element) : JSON.stringify(member === null ? null : element(member)))).join(',')}]`;
}

function ledgerList(kind: ValueKind, elements: readonly JsonTree[]): string {
  const print = (element: JsonTree): string => {
    if (element === null) return 'null';
    if (isList(element) && kind !== 'json') return ledgerList(kind, element);
    if (typeof element === 'string') return JSON.stringify(ledgerScalar(kind, kind === 'json' ? JSON.stringify(element) : element));
    if (typeof element === 'boolean') return JSON.stringify(String(element));
    if ('number' in element) return JSON.stringify(ledgerScalar(kind, element.number));
    return JSON.stringify(element);
  };
  return `[${elements.map(print).join(',')}]`;
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function eventScalar(kind: ValueKind, value: JsonValue): string {
  const text = typeof value === 'string' ? value : stringifyLossless(value);
  if (kind === 'bytea') return Buffer.from(text, 'base64').toString('hex');
  if (kind === 'bits') return typeof value === 'boolean' ? (value ? '1' : '0') : bitsFromBytes(Buffer.from(text, 'base64'));
  return scalar(kind, text);
}

function ledgerScalar(kind: ValueKind, text: string): string {
  if (kind === 'bytea') return text.replace(/^\\x/, '');
  if (kind === 'bits') return /^[01]+$/.test(text) ? BigInt(`0b${text}`).toString(2) : '0';
  return scalar(kind, text);
}

/** Debezium writes a bit string as little-endian bytes and drops its length, so the number is what both sides know. */
function bitsFromBytes(bytes: Buffer): string {
  const hex = Buffer.from(bytes.toReversed()).toString('hex');
  return hex === '' ? '0' : BigInt(`0x${hex}`).toString(2);
}

function scalar(kind: ValueKind, text: string): string {
  switch (kind) {
    case 'numeric':
      return numeric(text);
    case 'float':
      return float(text);
    case 'money':
      return text.replaceAll(/[^\d.-]/g, '');
    case 'timestamptz':
    case 'timestamp':
    case 'date':
      return canonicalInstant(text);
    case 'time':
    case 'timetz':
      return canonicalClock(text);
    case 'interval':
      return canonicalInterval(text);
    case 'json':
      return canonicalJson(text);
    case 'boolean':
    case 'integer':
    case 'bytea':
    case 'bits':
    case 'text':
      return text;
  }
}

const specialNumbers: Readonly<Record<string, string>> = {
  NAN: 'NaN',
  POSITIVE_INFINITY: 'Infinity',
  NEGATIVE_INFINITY: '-Infinity',
};

function numeric(text: string): string {
  return ownMember(specialNumbers, text) ?? plainNumber(text);
}

function float(text: string): string {
  const special = ownMember(specialNumbers, text);
  if (special !== undefined) return special;
  const number = Number(text);
  return Object.is(number, -0) ? '-0' : String(number);
}
