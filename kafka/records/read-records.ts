import type { ConsumedMessage } from '../port.ts';
import { RecordMessage, type RecordBase } from './record-message.ts';

const more = 0x80;
/** Bits of a number that takes four bytes: one more could leave 32 bits. */
const mostPlainBits = 28;
const mostBytes = 10;

/** Where records are read, and where their bytes end. */
type Cursor = { at: number };

/**
 * The records of a batch, unpacked. Numbers are reckoned as numbers, not as BigInts: that alone would take a tenth of what applying an event costs.
 *
 * @throws RangeError when the bytes are not so many records
 */
export function readRecords(bytes: Buffer, count: number, base: RecordBase): readonly ConsumedMessage[] {
  const messages: ConsumedMessage[] = [];
  const cursor = { at: 0 };
  for (let index = 0; index < count; index += 1) messages.push(readRecord(bytes, cursor, base));
  return messages;
}

function readRecord(bytes: Buffer, cursor: Cursor, base: RecordBase): ConsumedMessage {
  const end = lengthAt(bytes, cursor, bytes.length);
  // Attributes: none are in use.
  cursor.at += 1;
  const timestampDelta = readNumber(bytes, cursor);
  const offsetDelta = readNumber(bytes, cursor);
  const key = bytesAt(bytes, cursor, end);
  const value = bytesAt(bytes, cursor, end);
  const parts = { offsetDelta, timestampDelta, keyAt: key.at, keyEnd: key.end, valueAt: value.at, valueEnd: value.end };
  const message = new RecordMessage(bytes, base, parts);
  const headers = readNumber(bytes, cursor);
  if (headers === 0 && cursor.at === end) return message;
  const named: [string, string][] = [];
  for (let index = 0; index < headers; index += 1) named.push([textAt(bytes, cursor, end), textAt(bytes, cursor, end)]);
  if (cursor.at !== end) throw new RangeError('a record does not end where it says');
  const { offset, timestamp } = message;
  return { offset, timestamp, key: message.key, value: message.value, headers: Object.fromEntries(named) };
}

function textAt(bytes: Buffer, cursor: Cursor, end: number): string {
  const { at, end: textEnd } = bytesAt(bytes, cursor, end);
  return at < 0 ? '' : bytes.toString('utf8', at, textEnd);
}

/** Bytes with their length before them; -1 means null. */
function bytesAt(bytes: Buffer, cursor: Cursor, within: number): { readonly at: number; readonly end: number } {
  const length = readNumber(bytes, cursor);
  if (length === -1) return { at: -1, end: 0 };
  const at = cursor.at;
  if (length < 0 || at + length > within) throw new RangeError('a record is longer than its bytes');
  cursor.at = at + length;
  return { at, end: cursor.at };
}

/** Where the record ends whose length is next. */
function lengthAt(bytes: Buffer, cursor: Cursor, within: number): number {
  const length = readNumber(bytes, cursor);
  const end = cursor.at + length;
  if (length < 0 || end > within) throw new RangeError('a record is longer than its bytes');
  return end;
}

/** A number of seven bits a byte, the lowest first, its sign in the lowest bit. */
function readNumber(bytes: Buffer, cursor: Cursor): number {
  let result = 0;
  for (let bits = 0; bits < mostPlainBits; bits += 7) {
    const byte = byteAt(bytes, cursor);
    result |= (byte & 0x7f) << bits;
    if (byte < more) return (result >>> 1) ^ -(result & 1);
  }
  return readLong(bytes, cursor, BigInt(result));
}

function readLong(bytes: Buffer, cursor: Cursor, low: bigint): number {
  let result = low;
  for (let index = mostPlainBits / 7; index < mostBytes; index += 1) {
    const byte = byteAt(bytes, cursor);
    result |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < more) return Number((result >> 1n) ^ -(result & 1n));
  }
  throw new RangeError('a number of a record is longer than numbers are');
}

function byteAt(bytes: Buffer, cursor: Cursor): number {
  const byte = bytes[cursor.at];
  if (byte === undefined) throw new RangeError('a record is longer than its bytes');
  cursor.at += 1;
  return byte;
}
