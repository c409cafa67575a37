import { createHash } from 'node:crypto';

/** Types of a single-column key that a sweep can order as Postgres does. */
export type SweepKeyType = 'int2' | 'int4' | 'int8' | 'uuid';

/** What a range of keys comes to: equal for equal sets, and different for different ones but for a chance of about 2^-64. */
export type Digest = { readonly count: bigint; readonly high: bigint; readonly low: bigint };

/** A run of keys in key order: those after `after` (null: from the first) up to and with the last one. */
export type KeyRange = { readonly after: string | null; readonly keys: readonly string[] };

/** Keys in the order of the database's type. */
export function sortKeys(keys: Iterable<string>, type: SweepKeyType): readonly string[] {
  if (type === 'uuid') return [...keys].toSorted(compareText);
  return Array.from(BigInt64Array.from([...keys].map(BigInt)).toSorted(), String);
}

/** Canonical uuid texts have the order of their bytes, which is Postgres's; localeCompare would not. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The digest of keys, as {@link digestSql} computes it on the server: sums over the first 64 bits of each key's MD5. */
export function digestOf(keys: readonly string[]): Digest {
  let high = 0n;
  let low = 0n;
  for (const key of keys) {
    const hash = createHash('md5').update(key).digest();
    high += BigInt(hash.readUInt32BE(0));
    low += BigInt(hash.readUInt32BE(4));
  }
  return { count: BigInt(keys.length), high, low };
}

export function sameDigest(a: Digest, b: Digest): boolean {
  return a.count === b.count && a.high === b.high && a.low === b.low;
}

/** Cuts sorted keys into ranges of at most `size`. */
export function cutRanges(sorted: readonly string[], size: number): readonly KeyRange[] {
  return Array.from({ length: Math.ceil(sorted.length / size) }, (_, index) => ({
    after: index === 0 ? null : (sorted[index * size - 1] ?? null),
    keys: sorted.slice(index * size, (index + 1) * size),
  }));
}

/** Two halves of a range of at least two keys. */
export function halve({ after, keys }: KeyRange): readonly [KeyRange, KeyRange] {
  const middle = keys.length >> 1;
  return [
    { after, keys: keys.slice(0, middle) },
    { after: keys[middle - 1] ?? after, keys: keys.slice(middle) },
  ];
}
