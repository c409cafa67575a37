/** bytea's text from base64. */
export function byteaText(base64: string): string {
  return `\\x${Buffer.from(base64, 'base64').toString('hex')}`;
}

/**
 * bit(n)'s text from the contract's little-endian bytes in base64. `length` is n; -1 (bit varying) takes the significant bits, since the
 * bytes do not say how many zeros led them.
 */
export function bitText(base64: string, length: number): string {
  const bytes = Buffer.from(base64, 'base64').toReversed();
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
  const significant = bits.replace(/^0+/, '');
  return length < 0 ? significant : significant.padStart(length, '0');
}
