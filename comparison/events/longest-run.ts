/**
 * The length of the longest common subsequence of two lists (Hunt–Szymanski): how much of `seen` is in an order that `truth` has
 * too. n log n where values are distinct, as states nearly always are.
 */
export function longestCommonRun(truth: readonly string[], seen: readonly string[]): number {
  const places = new Map<string, number[]>();
  for (const [index, value] of truth.entries()) {
    const list = places.get(value);
    if (list === undefined) places.set(value, [index]);
    else list.push(index);
  }
  // tails[n]: the smallest place at which a common run of n + 1 values can end.
  const tails: number[] = [];
  for (const value of seen) {
    for (const place of places.get(value)?.toReversed() ?? []) {
      const at = firstAtOrAbove(tails, place);
      tails[at] = place;
    }
  }
  return tails.length;
}

function firstAtOrAbove(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? Infinity) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
