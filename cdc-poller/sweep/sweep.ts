import { cutRanges, digestOf, halve, sameDigest, sortKeys, type KeyRange, type SweepKeyType } from './key-set.ts';
import type { SweepSource, TableIdentity } from './sweep-source.ts';

export type SweepLimits = {
  /** Keys in the first digests. */
  readonly chunkKeys: number;
  /** A range of at most so many keys is listed instead of halved. */
  readonly listKeys: number;
  /** More missing keys than this are not believed: nothing is published. */
  readonly maxDeletes: number;
};

/**
 * How a sweep ended. `found`: no row of the table has these keys. The others publish nothing: `too-many` says how many were
 * missing when it gave up; `moved`: the table was truncated, rewritten or replaced meanwhile; `hidden`: a row-level-security policy
 * hides rows from the poller; `gone`: the table is not there.
 */
export type SweepResult =
  | { readonly outcome: 'found'; readonly missing: readonly string[]; readonly swept: number }
  | { readonly outcome: 'too-many'; readonly missing: number; readonly swept: number }
  | { readonly outcome: 'moved' | 'hidden' | 'gone' };

/**
 * Looks for published keys that the table has no more. Yields after each query, so that its caller polls in between and paces it; returns
 * what it found. A key in a range is compared by count and hash first; a range that differs (also by rows that are merely new) is
 * halved until it is short enough to be listed; what is missing is asked for once more, by key, at the very end.
 *
 * A key that is deleted and written again meanwhile is no loss: either the last look finds it, or the poll publishes it after the delete.
 *
 * @param published keys as they were when the sweep began
 */
export async function* sweep(
  source: SweepSource,
  published: Iterable<string>,
  keyType: SweepKeyType,
  limits: SweepLimits,
): AsyncGenerator<void, SweepResult> {
  const before = await source.identity();
  const refused = refusal(before);
  if (refused !== null) return refused;
  yield;
  const suspects: string[] = [];
  let swept = 0;
  for (const chunk of cutRanges(sortKeys(published, keyType), limits.chunkKeys)) {
    const open: KeyRange[] = [chunk];
    for (let range = open.pop(); range !== undefined; range = open.pop()) {
      if (range.keys.length <= limits.listKeys) {
        const found = await source.list(range);
        for (const key of range.keys) if (!found.has(key)) suspects.push(key);
      } else if (!sameDigest(digestOf(range.keys), await source.digest(range))) {
        open.push(...halve(range).toReversed());
      }
      yield;
      if (suspects.length > limits.maxDeletes) return { outcome: 'too-many', missing: suspects.length, swept };
    }
    swept += chunk.keys.length;
  }
  const present = suspects.length === 0 ? new Set() : await source.present(suspects);
  const after = await source.identity();
  const late = refusal(after);
  if (late !== null) return late;
  // Truncated, rewritten or replaced: what is gone is gone for good, and the next sweep finds it under the cap.
  if (after?.oid !== before?.oid || after?.file !== before?.file) return { outcome: 'moved' };
  return { outcome: 'found', missing: suspects.filter((key) => !present.has(key)), swept };
}

function refusal(identity: TableIdentity | null): SweepResult | null {
  if (identity === null) return { outcome: 'gone' };
  return identity.rowSecurity ? { outcome: 'hidden' } : null;
}
