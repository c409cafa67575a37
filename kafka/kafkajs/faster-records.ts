import { RecordMessage, type RecordBase } from './record-message.ts';

/**
 * Reading a record as kafkajs does, save that it reckons in numbers: kafkajs makes BigInts, and texts of them, for every number of every
 * record, which is a tenth of what applying its event costs. What is unusual (headers, numbers beyond 2^53) is left to kafkajs.
 */

/** What kafkajs tells of the batch that a record is in. */
export type RecordContext = {
  readonly firstOffset: string;
  readonly firstTimestamp: string;
  readonly maxTimestamp?: string;
  readonly timestampType?: number;
  readonly isControlBatch?: boolean;
  readonly magicByte?: number;
};

type RecordDecoder = { readonly buffer: Buffer; readonly offset: number };

/** A record as kafkajs knows one; what it is asked for is made then. */
export class PlainRecord {
  /** What a consumer is to get of it. */
  readonly message: RecordMessage;
  readonly batchContext: RecordContext;
  readonly attributes: number;
  /** kafkajs leaves such records out. */
  isControlRecord: boolean;

  constructor(message: RecordMessage, batchContext: RecordContext, attributes: number) {
    this.message = message;
    this.batchContext = batchContext;
    this.attributes = attributes;
    this.isControlRecord = batchContext.isControlBatch ?? false;
  }

  get magicByte(): number | undefined {
    return this.batchContext.magicByte;
  }

  get timestamp(): string {
    return String(this.message.timestamp);
  }

  get offset(): string {
    return String(this.message.offset);
  }

  get key(): Buffer | null {
    return this.message.key;
  }

  get value(): Buffer | null {
    return this.message.value;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.message.headers;
  }
}

export type DecodeRecord = (decoder: RecordDecoder, context: RecordContext) => unknown;

const logAppendTime = 1;
const more = 0x80;
/** Bits of a number that takes four bytes: one more could leave 32 bits. */
const mostBits = 28;

/** Where a record is read; numbers end it with NaN when they are longer than usual. */
type Cursor = { at: number };

function readNumber(bytes: Buffer, cursor: Cursor): number {
  let result = 0;
  for (let bits = 0; bits < mostBits; bits += 7) {
    const byte = bytes[cursor.at] ?? 0;
    cursor.at += 1;
    result |= (byte & 0x7f) << bits;
    if (byte < more) return (result >>> 1) ^ -(result & 1);
  }
  return Number.NaN;
}

let last: { readonly context: RecordContext; readonly base: RecordBase } | undefined;

/** Records of one batch come one after the other, with one context. */
function baseOf(context: RecordContext): RecordBase {
  if (last?.context !== context) {
    const { firstOffset, firstTimestamp, maxTimestamp, timestampType } = context;
    const appendTime = timestampType === logAppendTime && maxTimestamp ? Number(maxTimestamp) : null;
    last = { context, base: { offset: Number(firstOffset), timestamp: Number(firstTimestamp), appendTime } };
  }
  return last.base;
}

function readPlain(bytes: Buffer, context: RecordContext): PlainRecord | null {
  const cursor = { at: 1 };
  const base = baseOf(context);
  const timestampDelta = readNumber(bytes, cursor);
  const offsetDelta = readNumber(bytes, cursor);
  if (!Number.isSafeInteger(base.timestamp + timestampDelta) || !Number.isSafeInteger(base.offset + offsetDelta)) return null;
  if (!Number.isSafeInteger(base.appendTime ?? 0)) return null;
  const keyLength = readNumber(bytes, cursor);
  const keyAt = keyLength === -1 ? -1 : cursor.at;
  const keyEnd = keyLength === -1 ? 0 : (cursor.at += keyLength);
  const valueLength = readNumber(bytes, cursor);
  const valueAt = valueLength === -1 ? -1 : cursor.at;
  const valueEnd = valueLength === -1 ? 0 : (cursor.at += valueLength);
  // Nothing but the number of headers is left: none. A length that was too long has made a NaN of the place.
  if (cursor.at !== bytes.length - 1 || bytes[cursor.at] !== 0) return null;
  const parts = { offsetDelta, timestampDelta, keyAt, keyEnd, valueAt, valueEnd };
  return new PlainRecord(new RecordMessage(bytes, base, parts), context, bytes.readInt8(0));
}

export function createRecordDecoder(original: DecodeRecord): DecodeRecord {
  return (decoder, context) => (decoder.offset === 0 ? readPlain(decoder.buffer, context) : null) ?? original(decoder, context);
}
