import type { ByteWriter } from '#kafka/index.ts';

/**
 * Writes a value, as JSON or as Avro, straight from its bytes as COPY gives them (UTF-8), where the value has the usual form: then the very bytes that the type's
 * ValueEncoder or AvroValue gives. False for any other value: that one then decides, and what was written is taken back. The writer has room for six times the
 * bytes (as Avro: for the bytes), and 64 more.
 */
export type ByteValue = (from: Buffer, start: number, end: number, to: ByteWriter) => boolean;

/** Larger values take the plain way: it is quick enough for them, and they need no room six times their size. */
export const longestByteValue = 8192;

/** Writes a long of Avro's that a number holds: up to 2^52 either way. The writer has room for ten bytes. */
export function putLong(value: number, to: ByteWriter): void {
  const { bytes } = to;
  let { at } = to;
  let zigzag = value < 0 ? value * -2 - 1 : value * 2;
  while (zigzag > 0x7f_ff_ff_ff) {
    bytes[at] = (zigzag % 128) | 0x80;
    at += 1;
    zigzag = Math.floor(zigzag / 128);
  }
  while (zigzag > 0x7f) {
    bytes[at] = (zigzag & 0x7f) | 0x80;
    at += 1;
    zigzag >>>= 7;
  }
  bytes[at] = zigzag;
  to.at = at + 1;
}

const hex = Buffer.from('0123456789ABCDEF');
/** The letter behind a backslash in JSON, of the control characters that have one; 0 for the others. */
const shortEscapes = Buffer.alloc(32);
for (const [code, letter] of [[8, 'b'], [9, 't'], [10, 'n'], [12, 'f'], [13, 'r']] as const) shortEscapes[code] = letter.charCodeAt(0); // prettier-ignore

const quote = 34;
const backslash = 92;
const smallU = 117;
const firstPrintable = 0x20;
/** The first byte of a character beyond the BMP, of four bytes, is at least this. */
const beyondBmp = 0xf0;

/** As {@link jsonString}: short escapes, upper-case hex, surrogate pairs as escapes. */
export const jsonBytes: ByteValue = (from, start, end, to) => {
  const { bytes } = to;
  let { at } = to;
  bytes[at] = quote;
  at += 1;
  for (let index = start; index < end; index += 1) {
    const byte = from[index] ?? 0;
    if (byte >= firstPrintable && byte < beyondBmp && byte !== quote && byte !== backslash) {
      bytes[at] = byte;
      at += 1;
      continue;
    }
    if (byte === quote) {
      bytes[at] = backslash;
      bytes[at + 1] = quote;
      at += 2;
    } else if (byte === backslash) {
      index += 1;
      const code = unescaped(from[index] ?? 0);
      if (code < 0) return false;
      at = escaped(bytes, at, code);
    } else if (byte < firstPrintable) at = escaped(bytes, at, byte);
    else {
      const rest = (((from[index + 1] ?? 0) & 0x3f) << 12) | (((from[index + 2] ?? 0) & 0x3f) << 6) | ((from[index + 3] ?? 0) & 0x3f);
      const code = (((byte & 7) << 18) | rest) - 0x1_00_00;
      at = unicode(bytes, unicode(bytes, at, 0xd8_00 | (code >> 10)), 0xdc_00 | (code & 0x3_ff));
      index += 3;
    }
  }
  bytes[at] = quote;
  to.at = at + 1;
  return true;
};

/** What COPY means by a letter behind a backslash; -1 for one that it does not write. */
function unescaped(letter: number): number {
  switch (letter) {
    case backslash:
      return backslash;
    case 98:
      return 8;
    case 116:
      return 9;
    case 110:
      return 10;
    case 118:
      return 11;
    case 102:
      return 12;
    case 114:
      return 13;
    default:
      return -1;
  }
}

function escaped(bytes: Buffer, at: number, code: number): number {
  const short = code === backslash ? backslash : (shortEscapes[code] ?? 0);
  if (short === 0) return unicode(bytes, at, code);
  bytes[at] = backslash;
  bytes[at + 1] = short;
  return at + 2;
}

function unicode(bytes: Buffer, at: number, unit: number): number {
  bytes[at] = backslash;
  bytes[at + 1] = smallU;
  bytes[at + 2] = hex[unit >> 12] ?? 0;
  bytes[at + 3] = hex[(unit >> 8) & 15] ?? 0;
  bytes[at + 4] = hex[(unit >> 4) & 15] ?? 0;
  bytes[at + 5] = hex[unit & 15] ?? 0;
  return at + 6;
}
