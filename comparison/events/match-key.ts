import type { ObservedEvent } from '../observer/observed-event.ts';
import { sameXid } from '../source/xid.ts';
import { longestCommonRun } from './longest-run.ts';

/** One change of one key as the ledger has it, in the order in which the changes were made (for one key also the commit order). */
export type LedgerChange = {
  readonly key: string;
  readonly op: 'c' | 'u' | 'd';
  readonly txId: bigint;
  /** The row's state after the change; null for a delete. */
  readonly after: string | null;
  readonly before: string | null;
  /** Digests of `after` without the columns that some event of this table lacks, keyed by their names joined by a comma. */
  readonly partialAfter: ReadonlyMap<string, string>;
  /** The key's last change in its transaction: the state that others could see. */
  readonly committed: boolean;
  /** Committed after the comparison began and before it ended. */
  readonly inWindow: boolean;
};

export type Match = { readonly event: ObservedEvent; readonly change: LedgerChange };

export type KeyMatches = {
  readonly matches: readonly Match[];
  /** Changes for which no event was seen. */
  readonly unseen: readonly LedgerChange[];
  /** Events that repeat another: same transaction, same state, and the ledger has no second one. */
  readonly duplicates: readonly ObservedEvent[];
  /** Events of states that the ledger does not have. */
  readonly unexplained: readonly ObservedEvent[];
  /** The fewest events that would have to move for the others to be in commit order. */
  readonly outOfOrder: number;
};

/**
 * Matches one key's events (in the order in which they were read) with its changes, as multisets of states: an event explains at most
 * one change. Among equal states the event's own transaction comes first, then a state that others could see, then the oldest.
 */
export function matchKey(changes: readonly LedgerChange[], events: readonly ObservedEvent[]): KeyMatches {
  const free = new Set(changes);
  const byState = indexByState(changes);
  const matched = new Map<ObservedEvent, LedgerChange>();
  const claim = (event: ObservedEvent, wanted: (change: LedgerChange) => boolean): void => {
    const candidates = byState.get(stateOf(event))?.filter((change) => free.has(change) && wanted(change)) ?? [];
    const change = candidates.find(({ committed }) => committed) ?? candidates[0];
    if (change === undefined) return;
    free.delete(change);
    matched.set(event, change);
  };
  for (const event of events) claim(event, ({ txId }) => event.txId !== null && sameXid(txId, event.txId));
  // A query-based event of a row written under a savepoint carries the sub-transaction's id, which the ledger does not know.
  for (const event of events) if (!matched.has(event)) claim(event, () => true);

  const matches: Match[] = [];
  const duplicates: ObservedEvent[] = [];
  const unexplained: ObservedEvent[] = [];
  for (const event of events) {
    const change = matched.get(event);
    if (change !== undefined) matches.push({ event, change });
    else if (matches.some((other) => repeats(other.event, event))) duplicates.push(event);
    else unexplained.push(event);
  }
  const run = longestCommonRun(
    changes.map(stateOf),
    // By its change's state: an event that lacks columns has another digest.
    matches.map(({ change }) => stateOf(change)),
  );
  return { matches, unseen: [...free], duplicates, unexplained, outOfOrder: matches.length - run };
}

/** A delete has no state but that the row is gone. An event that lacks columns has a digest of its own ({@link LedgerChange.partialAfter}). */
function stateOf({ op, after }: { readonly op: string; readonly after: string | null }): string {
  return op === 'd' ? 'gone' : (after ?? 'unknown');
}

function indexByState(changes: readonly LedgerChange[]): ReadonlyMap<string, readonly LedgerChange[]> {
  const index = new Map<string, LedgerChange[]>();
  for (const change of changes) {
    for (const state of [stateOf(change), ...change.partialAfter.values()]) {
      const list = index.get(state);
      if (list === undefined) index.set(state, [change]);
      else list.push(change);
    }
  }
  return index;
}

function repeats(earlier: ObservedEvent, event: ObservedEvent): boolean {
  return earlier.txId === event.txId && earlier.after === event.after && (earlier.op === 'd') === (event.op === 'd');
}
