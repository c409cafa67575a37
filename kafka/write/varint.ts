/** Numbers as records have them: zigzag, seven bits a byte, the lowest first. Lengths are never below -1. */

/** Writes it at `at`; gives where it ends. */
export function putVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value < 0 ? 1 : value * 2;
  let end = at;
  while (rest > 0x7f) {
    bytes[end] = (rest & 0x7f) | 0x80;
    end += 1;
    rest >>>= 7;
  }
  bytes[end] = rest;
  return end + 1;
}

/** Bytes that it takes. */
export function varintSize(value: number): number {
  const zigzag = value < 0 ? 1 : value * 2;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  return zigzag < 0x10000000 ? 4 : 5;
}
