import type { Mark } from './floor.ts';
import type { RememberedKeys } from './remembered-keys.ts';

/**
 * A pass reads a range of the table once, in pages, and decides for each row version whether it is new. Four kinds:
 *
 * - `load`: the first one. Reads below the floor what was committed before the load began.
 * - `repair`: reads below the floor what transactions left there that were open when the load began, once all of them have ended.
 * - `poll`: reads from the floor on, again and again.
 * - `whole`: mode bulk. Reads everything and publishes everything.
 *
 * Pages have snapshots of their own. That loses nothing: what the pass' first snapshot showed and is gone when its page is read has
 * been replaced by a version at or past the first snapshot's xmin, and the next pass looks at all of those again. (In mode incrementing
 * it does so above the floor only: there, a new version of an old row is what the mode does not promise.)
 *
 * Views and queries have no xmin. Their passes are the same, with the row's timestamp in place of its transaction id: a poll reads an overlap
 * window, remembers each (timestamp, key and content) past the lower end of the next window, and skips what it remembers. That is not exact:
 * what commits later than the window is long is lost.
 */
export type PassKind = 'load' | 'repair' | 'poll' | 'whole';

/** Where a page ended: the values that it is ordered by, as the database's own texts. */
export type Cursor = readonly string[];

export type Pass = {
  readonly kind: PassKind;
  /** Rows at or after this are read; null reads from the beginning. */
  readonly from: Mark | null;
  /** Rows before this are read; null reads to the end. */
  readonly below: Mark | null;
  /** Row versions below this transaction id have been published. Null: none has. */
  readonly horizon: bigint | null;
  /** xmin of the snapshot with which the pass began: the horizon when it ends. */
  readonly nextHorizon: bigint;
  /** The last row read; null at the beginning. */
  readonly cursor: Cursor | null;
};

/** What to do with a row version. `wait`: it is new, but another pass will publish it. */
export type Verdict = 'publish' | 'publish-and-remember' | 'skip' | 'wait';

/**
 * Whether a visible row version is new to this pass. Pure.
 *
 * @param row its key is only asked for where something is remembered
 * @param hasRepair whether a repair pass will follow the load; without one, nothing can have been open when the load began
 * @param rememberedMax past this many remembered keys a poll leaves what is past its next horizon to a later pass, which
 *   publishes it when the oldest transaction has ended: delay instead of unbounded memory
 */
export function judgeRow(
  pass: Pass,
  row: { readonly xid: bigint; readonly key: string },
  remembered: RememberedKeys,
  { hasRepair, rememberedMax }: { readonly hasRepair: boolean; readonly rememberedMax: number },
): Verdict {
  if (pass.kind === 'whole') return 'publish';
  if (pass.kind === 'load') return hasRepair && row.xid >= pass.nextHorizon ? 'wait' : 'publish';
  if (pass.horizon !== null && row.xid < pass.horizon) return 'skip';
  if (pass.kind === 'repair') return 'publish';
  if (remembered.size > 0 && remembered.has(row.xid, row.key)) return 'skip';
  if (row.xid < pass.nextHorizon) return 'publish';
  return remembered.size < rememberedMax ? 'publish-and-remember' : 'wait';
}
