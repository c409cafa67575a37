import { pause } from '#pipeline/index.ts';
import type { TableRows } from '#cdc-poller/rows.ts';
import { imageOf, judge, type Difference, type Image, type Suspect } from './difference.ts';
import type { Pair } from './walk.ts';

export type ConfirmOptions = {
  readonly pair: Pick<Pair, 'columns' | 'isLost' | 'source' | 'mirror' | 'nameOf'>;
  /** The source's clock now, in µs since the epoch. */
  readonly clock: () => Promise<bigint>;
  /** Waits until the model is complete up to a time of the source's clock. Null when it is; else why not, as the status says it. */
  readonly untilComplete: (micros: bigint) => Promise<string | null>;
  /** Whether a difference may still go by itself, without a change: it is looked at again after a pause. */
  readonly mayPass?: (difference: Difference) => boolean;
  /** Whether a difference is no news: one look is enough. */
  readonly isExpected?: (difference: Difference) => boolean;
  readonly signal: AbortSignal;
};

export type Confirmed = {
  readonly differences: readonly Difference[];
  /** Of these nothing is known, and why. */
  readonly open: readonly Suspect[];
  readonly why: string | null;
  /** The model did not become complete in time: there is no use in asking on. */
  readonly isLate: boolean;
};

/** A row that has moved in so many looks is given up. */
const looksMax = 12;
/** Rows that are in memory at once, before they are made few bytes. */
const rowsAtOnce = 100;
const passPauseMs = 1000;

/**
 * Which suspects differ at a known position. A first look waits for nothing: it settles rows that have come meanwhile, and differences that are no news, which no
 * waiting would change. Each other look: the source is read, its clock is taken, the model is waited for until it is complete up to that
 * moment, the mirror is read, the source is read again. What did not change at the source meanwhile must be in the mirror as it is; what changed is looked at
 * again.
 */
export async function confirm(suspects: readonly Suspect[], options: ConfirmOptions): Promise<Confirmed> {
  const { pair, clock, untilComplete, mayPass = () => false, isExpected = () => false, signal } = options;
  const { columns, source, mirror, nameOf } = pair;
  const look = async (rows: TableRows, keys: readonly (readonly string[])[]): Promise<ReadonlyMap<string, Image>> => {
    const images = new Map<string, Image>();
    for (let from = 0; from < keys.length; from += rowsAtOnce) {
      signal.throwIfAborted();
      for (const row of await rows.byKeys(keys.slice(from, from + rowsAtOnce)))
        images.set(nameOf(row), imageOf(columns, row, rows === source ? pair.isLost : undefined));
    }
    return images;
  };
  const differences: Difference[] = [];
  const givenUp: Suspect[] = [];
  const seen = new Set<string>();
  const moves = new Map<string, number>();
  let open: readonly Suspect[] = suspects;
  for (let waits = false; open.length > 0; waits = true) {
    const sourceKeys = open.map(({ sourceKey }) => sourceKey);
    const before = await look(source, sourceKeys);
    const why = waits ? await untilComplete(await clock()) : null;
    if (why !== null) return { differences, open: [...givenUp, ...open], why, isLate: true };
    const mirrorKeys = open.map(({ mirrorKey }) => mirrorKey);
    const mirrored = await look(mirror, mirrorKeys);
    const after = await look(source, sourceKeys);
    const next: Suspect[] = [];
    let passes = false;
    for (const suspect of open) {
      const { name } = suspect;
      const verdict = judge(columns, suspect, { before: before.get(name), mirror: mirrored.get(name), after: after.get(name) });
      if (verdict === 'same') continue;
      if (!waits) {
        if (verdict !== 'moved' && isExpected(verdict)) differences.push(verdict);
        else next.push(suspect);
        continue;
      }
      if (verdict === 'moved') {
        seen.delete(name);
        const count = (moves.get(name) ?? 0) + 1;
        moves.set(name, count);
        if (count < looksMax) next.push(suspect);
        else givenUp.push(suspect);
      } else if (mayPass(verdict)) {
        passes = true;
        next.push(suspect);
      } else if (isExpected(verdict) || seen.has(name) || isProven(after.get(name))) differences.push(verdict);
      else {
        seen.add(name);
        next.push(suspect);
      }
    }
    open = next;
    if (passes) await pause(passPauseMs, signal);
    signal.throwIfAborted();
  }
  const why = givenUp.length === 0 ? null : `their rows changed in each of ${looksMax} looks`;
  return { differences, open: givenUp, why, isLate: false };
}

/** Without a version, a row that changed and changed back looks as if it had not changed; so does a key that came and went. These are looked at twice. */
function isProven(image: Image | undefined): boolean {
  return image !== undefined && image.version !== null;
}
