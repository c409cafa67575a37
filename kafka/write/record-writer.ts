import type { OutgoingMessage } from '../port.ts';
import { putVarint, varintSize } from './varint.ts';

/** Attributes, timestamp delta 0, offset delta (5 at most), the lengths of record, key and value and number of headers (5 each), and room to spare. */
const framingBytes = 48;

/**
 * Writes records of Kafka's format 2, one behind the other, into one buffer: a buffer for each record, or several, as clients do it, costs more
 * than everything else in sending. All have their batch's timestamp.
 */
export class RecordWriter {
  #buffer: Buffer;
  #at = 0;

  /** @param room how many bytes are made room for at first */
  constructor(room: number) {
    this.#buffer = Buffer.allocUnsafeSlow(room);
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#at;
  }

  /** What was written. */
  written(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  record({ key, value, valueBytes, headers }: OutgoingMessage, offsetDelta: number): void {
    const headerList = headers === undefined ? [] : Object.entries(headers);
    const start = this.#at;
    // Nearly all text is ASCII: its length is tried as its size, and the record is written again where that was wrong.
    if (this.#write(offsetDelta, key, value, headerList, key?.length ?? -1, valueBytes ?? value?.length ?? -1)) return;
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

  #varint(value: number): void {
    this.#at = putVarint(this.#buffer, this.#at, value);
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
