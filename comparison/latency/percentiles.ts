/** A distribution of times in ms: how many, and the nearest-rank percentiles (each a value that was measured). */
export type Distribution = { readonly n: number; readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };

/** Null when there is nothing to summarise: no figure is better than a zero that nobody measured. */
export function distribution(samples: readonly number[]): Distribution | null {
  const sorted = samples.toSorted((a, b) => a - b);
  const max = sorted.at(-1);
  if (max === undefined) return null;
  return { n: sorted.length, p50: percentile(sorted, 50), p95: percentile(sorted, 95), p99: percentile(sorted, 99), max };
}

/** The smallest sample that at least `percent` of all samples do not exceed. `sorted` ascending, not empty. */
function percentile(sorted: readonly number[], percent: number): number {
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}
