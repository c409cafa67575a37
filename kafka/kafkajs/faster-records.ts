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

type KafkaJsDecodedRecord = {
  readonly magicByte: number | undefined;
  readonly attributes: number;
  readonly timestamp: string;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly isControlRecord: boolean;
  readonly batchContext: RecordContext;
};

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

function readBytes(bytes: Buffer, cursor: Cursor): Buffer | null {
  const length = readNumber(bytes, cursor);
  if (length === -1) return null;
  const start = cursor.at;
  cursor.at += length;
  return bytes.subarray(start, cursor.at);
}

function readPlain(bytes: Buffer, batchContext: RecordContext): KafkaJsDecodedRecord | null {
  const cursor = { at: 1 };
  const { firstOffset, firstTimestamp, maxTimestamp, timestampType, isControlBatch = false, magicByte } = batchContext;
  const timestamp = Number(firstTimestamp) + readNumber(bytes, cursor);
  const offset = Number(firstOffset) + readNumber(bytes, cursor);
  if (!Number.isSafeInteger(timestamp) || !Number.isSafeInteger(offset)) return null;
  const key = readBytes(bytes, cursor);
  const value = readBytes(bytes, cursor);
  // Nothing but the number of headers is left: none. A length that was too long has made a NaN of the place.
  if (cursor.at !== bytes.length - 1 || bytes[cursor.at] !== 0) return null;
  return {
    magicByte,
    attributes: bytes.readInt8(0),
    timestamp: timestampType === logAppendTime && maxTimestamp ? maxTimestamp : String(timestamp),
    offset: String(offset),
    key,
    value,
    headers: {},
    isControlRecord: isControlBatch,
    batchContext,
  };
}

export function createRecordDecoder(original: DecodeRecord): DecodeRecord {
  return (decoder, context) => (decoder.offset === 0 ? readPlain(decoder.buffer, context) : null) ?? original(decoder, context);
}
