import { ByteWriter } from '#kafka/index.ts';
import { putLong } from './bytes/byte-value.ts';

/** Slabs are shared by many records; small ones, since whoever waits to be sent keeps its whole slab alive. */
const slabBytes = 64 * 1024;
/** Text up to this length is written character by character: quicker than a call into the runtime. */
const shortText = 32;

/**
 * Writes records of Avro's binary encoding, one at a time, straight from texts. Records share slabs, so that one costs no buffer of its own; what was
 * written is never touched again.
 */
export class AvroWriter extends ByteWriter {
  #start = 0;

  constructor() {
    super(Buffer.allocUnsafeSlow(slabBytes));
  }

  /** Begins a record. */
  begin(): void {
    this.#start = this.at;
  }

  /** The record since `begin`. */
  end(): Buffer {
    return this.bytes.subarray(this.#start, this.at);
  }

  /** A byte as it is: an index of a union (0, 2), a boolean, the end of an array. */
  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.at] = value;
    this.at += 1;
  }

  /** An int or a long that a number holds: up to 2^52 either way. */
  long(value: number): void {
    this.reserve(10);
    putLong(value, this);
  }

  /** An int or a long by its decimal text, to the last digit. @throws TypeError when it is none */
  integer(text: string): void {
    if (text.length > 15) {
      this.#bigLong(BigInt(text));
      return;
    }
    const negative = text.charCodeAt(0) === 45;
    let value = 0;
    for (let at = negative ? 1 : 0; at < text.length; at += 1) {
      const digit = text.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) throw new TypeError(`not an integer: ${text}`);
      value = value * 10 + digit;
    }
    this.long(negative ? -value : value);
  }

  float(value: number): void {
    this.reserve(4);
    this.at = this.bytes.writeFloatLE(value, this.at);
  }

  double(value: number): void {
    this.reserve(8);
    this.at = this.bytes.writeDoubleLE(value, this.at);
  }

  string(text: string): void {
    const { length } = text;
    if (length <= shortText && this.#ascii(text)) return;
    const most = length < 4096 ? length * 3 : Buffer.byteLength(text);
    this.reserve(most + 5);
    // Nearly all text is ASCII: its length is tried as its size.
    const at = this.at;
    this.long(length);
    const from = this.at;
    const size = this.bytes.write(text, from);
    this.at = from + size;
    if (size === length) return;
    // The larger size may need more room before the text.
    const start = at + lengthBytes(size);
    if (start !== from) this.bytes.copyWithin(start, from, from + size);
    this.at = at;
    this.long(size);
    this.at = start + size;
  }

  /** Bytes given as hex digits, from a character on. */
  hex(text: string, from = 0): void {
    const size = (text.length - from) >> 1;
    this.reserve(size + 5);
    this.long(size);
    this.at += this.bytes.write(from === 0 ? text : text.slice(from), this.at, 'hex');
  }

  /** Content behind its length. */
  sized(content: Uint8Array): void {
    this.long(content.length);
    this.raw(content);
  }

  /** False, and nothing written, when it is not all ASCII. */
  #ascii(text: string): boolean {
    this.reserve(shortText + 1);
    const buffer = this.bytes;
    const at = this.at;
    const { length } = text;
    // Short enough for a length of one byte.
    buffer[at] = length * 2;
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      buffer[at + 1 + index] = code;
    }
    this.at = at + 1 + length;
    return true;
  }

  #bigLong(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`not a long: ${value}`);
    const zigzag = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    let low = Number(zigzag & 0xff_ff_ff_ffn);
    let high = Number(zigzag >> 32n);
    this.reserve(10);
    while (high > 0 || low > 0x7f) {
      this.bytes[this.at] = (low & 0x7f) | 0x80;
      this.at += 1;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.bytes[this.at] = low;
    this.at += 1;
  }

  /** A record that outgrows its slab moves to a new one. */
  protected override grow(room: number): void {
    const written = this.at - this.#start;
    const larger = Buffer.allocUnsafeSlow(Math.max(slabBytes, (written + room) * 2));
    this.bytes.copy(larger, 0, this.#start, this.at);
    this.bytes = larger;
    this.#start = 0;
    this.at = written;
  }
}

/** The bytes that a length takes. */
function lengthBytes(length: number): number {
  let bytes = 1;
  for (let rest = length; rest > 63; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}
