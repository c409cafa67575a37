import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { crc32c } from '@platformatic/kafka';
import type { OutgoingMessage } from '../port.ts';

/**
 * Kafka's record batch (magic 2), written by hand into one buffer: the library's own writer allocates several small buffers for every record,
 * which costs more than all the rest of sending.
 */

/** Records of one partition, compressed, without what only the moment of sending knows. */
export type RecordBody = { readonly records: Buffer; readonly count: number; readonly timestamp: bigint };

/** Who sends a batch, and the number of its first record among all that this producer sent to the partition. */
export type BatchOrigin = { readonly producerId: bigint; readonly producerEpoch: number; readonly firstSequence: number };

const compress = promisify(zstdCompress);
/** Level 1: half of the default's CPU at nearly its ratio on JSON events. */
const compression = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const zstd = 4;
const transactional = 16;
const headerBytes = 61;
/** Attributes, timestamp delta 0, offset delta (5 at most), and the lengths of record, key and value and number of headers (5 each). */
const framingBytes = 30;

/** Writes messages as records, in order, all with one timestamp, and compresses them on the thread pool. */
export async function encodeRecords(messages: readonly OutgoingMessage[], timestamp: number): Promise<RecordBody> {
  const records = await compress(writeRecords(messages), compression);
  return { records, count: messages.length, timestamp: BigInt(timestamp) };
}

/** The records alone, uncompressed. */
function writeRecords(messages: readonly OutgoingMessage[]): Buffer {
  const writer = new RecordWriter(capacityFor(messages));
  for (const [index, message] of messages.entries()) writer.record(message, index);
  return writer.written();
}

/** Enough for ASCII; the writer grows where other text comes. */
function capacityFor(messages: readonly OutgoingMessage[]): number {
  let bytes = 0;
  for (const { key, value } of messages) bytes += (key?.length ?? 0) + (value?.length ?? 0) + framingBytes;
  return bytes;
}

class RecordWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
  }

  written(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  record({ key, value, headers }: OutgoingMessage, offsetDelta: number): void {
    const headerList = headers === undefined ? [] : Object.entries(headers);
    const start = this.#at;
    // Nearly all text is ASCII: its length is tried as its size, and the record is written anew where that was wrong.
    if (this.#write(offsetDelta, key, value, headerList, key?.length ?? -1, value?.length ?? -1)) return;
    this.#at = start;
    this.#write(offsetDelta, key, value, headerList, sizeOf(key), sizeOf(value));
  }

  /** False when the text has other sizes than was said. */
  #write(
    offsetDelta: number,
    key: OutgoingMessage['key'],
    value: OutgoingMessage['value'],
    headers: readonly (readonly [string, string])[],
    keySize: number,
    valueSize: number,
  ): boolean {
    let size = 2 + varintSize(offsetDelta) + varintSize(keySize) + Math.max(0, keySize) + varintSize(valueSize) + Math.max(0, valueSize);
    size += varintSize(headers.length);
    for (const [name, text] of headers) size += textSize(name) + textSize(text);
    // The length before it, and room in which larger text shows itself.
    this.#reserve(size + 16);
    this.#varint(size);
    // Attributes, and no difference to the batch's timestamp.
    this.#buffer[this.#at] = 0;
    this.#buffer[this.#at + 1] = 0;
    this.#at += 2;
    this.#varint(offsetDelta);
    if (!this.#bytes(key, keySize) || !this.#bytes(value, valueSize)) return false;
    this.#varint(headers.length);
    for (const [name, text] of headers) {
      this.#bytes(name, Buffer.byteLength(name));
      this.#bytes(text, Buffer.byteLength(text));
    }
    return true;
  }

  #bytes(content: string | Buffer | null, size: number): boolean {
    this.#varint(size);
    if (content === null) return true;
    if (typeof content !== 'string') {
      this.#at += content.copy(this.#buffer, this.#at);
      return true;
    }
    // Text that is larger than was said shows itself: no character has more than the four bytes of room beyond it.
    const written = this.#buffer.write(content, this.#at, size + 4);
    this.#at += written;
    return written === size;
  }

  /** Zigzag, as records have it: lengths are never below -1. */
  #varint(value: number): void {
    let rest = value < 0 ? 1 : value * 2;
    while (rest > 0x7f) {
      this.#buffer[this.#at] = (rest & 0x7f) | 0x80;
      this.#at += 1;
      rest >>>= 7;
    }
    this.#buffer[this.#at] = rest;
    this.#at += 1;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

function sizeOf(content: string | Buffer | null): number {
  if (content === null) return -1;
  return typeof content === 'string' ? Buffer.byteLength(content) : content.length;
}

function textSize(text: string): number {
  const size = Buffer.byteLength(text);
  return varintSize(size) + size;
}

function varintSize(value: number): number {
  const zigzag = value < 0 ? 1 : value * 2;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  return zigzag < 0x10000000 ? 4 : 5;
}

/** The whole batch of a transactional producer, ready for a produce request. */
export function sealBatch({ records, count, timestamp }: RecordBody, { producerId, producerEpoch, firstSequence }: BatchOrigin): Buffer {
  const batch = Buffer.allocUnsafe(headerBytes + records.length);
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(zstd | transactional, 21);
  batch.writeInt32BE(count - 1, 23);
  batch.writeBigInt64BE(timestamp, 27);
  batch.writeBigInt64BE(timestamp, 35);
  batch.writeBigInt64BE(producerId, 43);
  batch.writeInt16BE(producerEpoch, 51);
  batch.writeInt32BE(firstSequence, 53);
  batch.writeInt32BE(count, 57);
  records.copy(batch, headerBytes);
  // From the attributes on: what is before them may be changed by a broker.
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}
