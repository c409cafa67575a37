/** Bytes that are read from front to back. One cursor lasts for one reading. */
export type Cursor = { readonly bytes: Buffer; at: number };

/** Seven groups of seven bits: past them a JS number may lose digits. */
const exactBytes = 7;
const longestVarint = 10;

/** @throws RangeError */
export function endsTooSoon(): never {
  throw new RangeError('it ends before its schema does');
}

/** A zigzag varint: Avro's int and long. A bigint beyond 2^53, as parseLossless gives it. */
export function readLong(cursor: Cursor): number | bigint {
  const { bytes } = cursor;
  const start = cursor.at;
  let at = start;
  let byte = bytes[at++] ?? endsTooSoon();
  if (byte < 128) {
    cursor.at = at;
    return byte & 1 ? -((byte + 1) >>> 1) : byte >>> 1;
  }
  let value = byte & 127;
  let factor = 128;
  while (byte >= 128) {
    if (at - start >= exactBytes) return readWideLong(cursor);
    byte = bytes[at++] ?? endsTooSoon();
    value += (byte & 127) * factor;
    factor *= 128;
  }
  cursor.at = at;
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

function readWideLong(cursor: Cursor): number | bigint {
  const { bytes } = cursor;
  let value = 0n;
  let shift = 0n;
  for (let read = 0; ; read += 1) {
    if (read === longestVarint) throw new RangeError('a number is longer than 64 bits');
    const byte = bytes[cursor.at++] ?? endsTooSoon();
    value |= BigInt(byte & 127) << shift;
    shift += 7n;
    if (byte < 128) break;
  }
  const long = BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
  const number = Number(long);
  return Number.isSafeInteger(number) ? number : long;
}

/** A length, an index, a count: never negative, never large. */
export function readSize(cursor: Cursor): number {
  const size = readLong(cursor);
  if (typeof size === 'bigint' || size < 0) throw new RangeError('a length is out of bounds');
  return size;
}

export function skipVarint(cursor: Cursor): void {
  const { bytes } = cursor;
  const start = cursor.at;
  for (;;) {
    const byte = bytes[cursor.at++] ?? endsTooSoon();
    if (byte < 128) return;
    if (cursor.at - start >= longestVarint) throw new RangeError('a number is longer than 64 bits');
  }
}

/** Moves on by `length` bytes; gives where they began. */
export function advance(cursor: Cursor, length: number): number {
  const start = cursor.at;
  if (length > cursor.bytes.length - start) endsTooSoon();
  cursor.at = start + length;
  return start;
}
