import type { OutgoingMessage } from '../port.ts';

/** Attributes, timestamp delta 0, offset delta (5 at most), the lengths of record, key and value and number of headers (5 each), and room to spare. */
const framingBytes = 48;

/**
 * Writes records of Kafka's format 2, one behind the other, into one buffer: a buffer for each record, or several, as clients do it, costs more
 * than everything else in sending. All have their batch's timestamp.
 */
export class RecordWriter {
  #buffer: Buffer;
  #at = 0;

  /** @param to what is written to, as long as it lasts; or how much room is made at first */
  constructor(to: number | Buffer) {
    this.#buffer = typeof to === 'number' ? Buffer.allocUnsafeSlow(to) : to;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#at;
  }

  /** Bytes that fit without growing. */
  get free(): number {
    return this.#buffer.length - this.#at;
  }

  /** What was written from byte `start` on; later records leave it as it is. */
  written(start = 0): Buffer {
    return this.#buffer.subarray(start, this.#at);
  }

  record({ key, value, valueBytes, headers }: OutgoingMessage, offsetDelta: number): void {
    const headerList = headers === undefined ? [] : Object.entries(headers);
    const start = this.#at;
    // Nearly all text is ASCII: its length is tried as its size, and the record is written again where that was wrong.
    if (this.#write(offsetDelta, key, value, headerList, key?.length ?? -1, valueBytes ?? value?.length ?? -1)) return;
    this.#at = start;
    this.#write(offsetDelta, key, value, headerList, sizeOf(key), sizeOf(value));
  }

  /** A record of the first `keyEnd` bytes of `key` and `valueEnd` of `value`. */
  encoded(key: Buffer, keyEnd: number, value: Buffer, valueEnd: number, offsetDelta: number): void {
    const size = 3 + varintSize(offsetDelta) + varintSize(keyEnd) + keyEnd + varintSize(valueEnd) + valueEnd;
    this.#reserve(size + 5);
    this.#varint(size);
    this.#buffer[this.#at] = 0;
    this.#buffer[this.#at + 1] = 0;
    this.#at += 2;
    this.#varint(offsetDelta);
    this.#varint(keyEnd);
    this.#at += key.copy(this.#buffer, this.#at, 0, keyEnd);
    this.#varint(valueEnd);
    this.#at += value.copy(this.#buffer, this.#at, 0, valueEnd);
    this.#varint(0);
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

/** Room that is enough for a record of ASCII text; the writer grows where other text comes. */
export function roomFor({ key, value, valueBytes }: OutgoingMessage): number {
  return (key?.length ?? 0) + (valueBytes ?? value?.length ?? 0) + framingBytes;
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
