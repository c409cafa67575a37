/** A group member with the partitions that it says it has, and since when (ms since the epoch, by its own clock). */
export type StickyMember = { readonly id: string; readonly owned: readonly string[]; readonly since: number };

/**
 * Shares partitions out evenly (the counts differ by one at most) and leaves each with who has it as far as that goes. Where two say
 * that they have one, the later is believed: the other was away. Pure; depends on no order of its arguments.
 *
 * @returns the partitions of each member by its id
 */
export function assignSticky(members: readonly StickyMember[], partitions: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const free = new Set(partitions);
  const kept = new Map<string, string[]>();
  for (const { id, owned } of members.toSorted((a, b) => b.since - a.since || compare(a.id, b.id))) {
    const claims = owned.filter((partition) => free.has(partition)).toSorted(compare);
    for (const claim of claims) free.delete(claim);
    kept.set(id, claims);
  }
  const least = Math.floor(partitions.length / members.length);
  let larger = partitions.length % members.length;
  // Whoever has most keeps one more, as far as there are such places.
  for (const mine of [...kept].toSorted(([idA, a], [idB, b]) => b.length - a.length || compare(idA, idB)).map(([, claims]) => claims)) {
    const most = least + (mine.length > least && larger > 0 ? 1 : 0);
    if (most > least) larger -= 1;
    for (const surplus of mine.splice(most)) free.add(surplus);
  }
  for (const partition of [...free].toSorted(compare)) {
    const [poorest] = [...kept].toSorted(([idA, a], [idB, b]) => a.length - b.length || compare(idA, idB));
    poorest?.[1].push(partition);
  }
  return kept;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
