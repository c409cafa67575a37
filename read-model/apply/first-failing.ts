/**
 * Finds the item at which a sequence begins to fail, when `fails` says whether its first `count` items do: the one without which the
 * items before it succeed. Asks about log2(length) times. Null when the whole does not fail (any more).
 */
export async function firstFailing(length: number, fails: (count: number) => Promise<boolean>): Promise<number | null> {
  if (length === 0 || !(await fails(length))) return null;
  let succeeds = 0;
  let failsAt = length;
  while (failsAt - succeeds > 1) {
    const middle = Math.floor((succeeds + failsAt) / 2);
    if (await fails(middle)) failsAt = middle;
    else succeeds = middle;
  }
  return failsAt - 1;
}
