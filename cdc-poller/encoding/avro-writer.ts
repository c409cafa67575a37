/** Slabs are shared by many records; small ones, since whoever waits to be sent keeps its whole slab alive. */
const slabBytes = 64 * 1024;
/** Text up to this length is written character by character: quicker than a call into the runtime. */
const shortText = 32;

/**
 * Writes records of Avro's binary encoding, one at a time, straight from texts. Records share slabs, so that one costs no buffer of its own; what was
 * written is never touched again.
 */
export class AvroWriter {
  #buffer = Buffer.allocUnsafeSlow(slabBytes);
  #start = 0;
  #at = 0;

  /** Begins a record behind Confluent's header: a zero byte and the schema's id. */
  begin(schemaId: number): void {
    this.#start = this.#at;
    this.#reserve(5);
    this.#buffer[this.#at] = 0;
    this.#buffer.writeUInt32BE(schemaId, this.#at + 1);
    this.#at += 5;
  }

  /** The record since `begin`. */
  end(): Buffer {
    return this.#buffer.subarray(this.#start, this.#at);
  }

  /** A byte as it is: an index of a union (0, 2), a boolean, the end of an array. */
  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at] = value;
    this.#at += 1;
  }

  /** An int or a long that a number holds: up to 2^52 either way. */
  long(value: number): void {
    this.#reserve(10);
    let zigzag = value < 0 ? value * -2 - 1 : value * 2;
    while (zigzag > 0x7f_ff_ff_ff) {
      this.#buffer[this.#at] = (zigzag % 128) | 0x80;
      this.#at += 1;
      zigzag = Math.floor(zigzag / 128);
    }
    while (zigzag > 0x7f) {
      this.#buffer[this.#at] = (zigzag & 0x7f) | 0x80;
      this.#at += 1;
      zigzag >>>= 7;
    }
    this.#buffer[this.#at] = zigzag;
    this.#at += 1;
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
    this.#reserve(4);
    this.#at = this.#buffer.writeFloatLE(value, this.#at);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  string(text: string): void {
    const { length } = text;
    if (length <= shortText && this.#ascii(text)) return;
    const most = length < 4096 ? length * 3 : Buffer.byteLength(text);
    this.#reserve(most + 5);
    // Nearly all text is ASCII: its length is tried as its size.
    const at = this.#at;
    this.long(length);
    const from = this.#at;
    const size = this.#buffer.write(text, from);
    this.#at = from + size;
    if (size === length) return;
    // The larger size may need more room before the text.
    const start = at + lengthBytes(size);
    if (start !== from) this.#buffer.copyWithin(start, from, from + size);
    this.#at = at;
    this.long(size);
    this.#at = start + size;
  }

  /** Text as it is, up to the end of the record: what is no Avro, but JSON. */
  text(text: string): void {
    this.#reserve(text.length < 4096 ? text.length * 3 : Buffer.byteLength(text));
    this.#at += this.#buffer.write(text, this.#at);
  }

  /** Bytes given as hex digits, from a character on. */
  hex(text: string, from = 0): void {
    const size = (text.length - from) >> 1;
    this.#reserve(size + 5);
    this.long(size);
    this.#at += this.#buffer.write(from === 0 ? text : text.slice(from), this.#at, 'hex');
  }

  /** Bytes behind their length. */
  bytes(content: Uint8Array): void {
    this.long(content.length);
    this.raw(content);
  }

  /** What was encoded before. */
  raw(content: Uint8Array): void {
    this.#reserve(content.length);
    this.#buffer.set(content, this.#at);
    this.#at += content.length;
  }

  /** False, and nothing written, when it is not all ASCII. */
  #ascii(text: string): boolean {
    this.#reserve(shortText + 1);
    const buffer = this.#buffer;
    const at = this.#at;
    const { length } = text;
    // Short enough for a length of one byte.
    buffer[at] = length * 2;
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      buffer[at + 1 + index] = code;
    }
    this.#at = at + 1 + length;
    return true;
  }

  #bigLong(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`not a long: ${value}`);
    const zigzag = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    let low = Number(zigzag & 0xff_ff_ff_ffn);
    let high = Number(zigzag >> 32n);
    this.#reserve(10);
    while (high > 0 || low > 0x7f) {
      this.#buffer[this.#at] = (low & 0x7f) | 0x80;
      this.#at += 1;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.#buffer[this.#at] = low;
    this.#at += 1;
  }

  /** A record that outgrows its slab moves to a new one. */
  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const written = this.#at - this.#start;
    const larger = Buffer.allocUnsafeSlow(Math.max(slabBytes, (written + bytes) * 2));
    this.#buffer.copy(larger, 0, this.#start, this.#at);
    this.#buffer = larger;
    this.#start = 0;
    this.#at = written;
  }
}

/** The bytes that a length takes. */
function lengthBytes(length: number): number {
  let bytes = 1;
  for (let rest = length; rest > 63; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}
