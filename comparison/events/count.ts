import { KeyCollector, type KeyList } from '../report/key-list.ts';
import type { ObservedEvent } from '../observer/observed-event.ts';
import { precedes } from '../source/xid.ts';
import { matchKey, type LedgerChange, type Match } from './match-key.ts';

/** What one strategy published of one table's changes, against the ledger. Counts are of the comparison's window only. */
export type TableEvents = {
  /**
   * States that others could see: a key's last insert or update in each transaction. `superseded` of them were followed by another change
   * of the key: those are the ones that can be missed. `lost` names those for which no event came.
   */
  readonly states: { readonly committed: number; readonly superseded: number; readonly seen: number; readonly lost: KeyList };
  /** Changes that a later change of the same transaction replaced before anyone could see them. */
  readonly withinTransactions: { readonly made: number; readonly seen: number };
  /** `ofUnseen` are the lost ones of rows that have no event at all: they came and went between two looks, and left no ghost. */
  readonly deletes: { readonly committed: number; readonly seen: number; readonly lost: KeyList; readonly ofUnseen: KeyList };
  readonly truncates: { readonly committed: number; readonly seen: number };
  /** Of the updates and deletes that were seen: how many events carried the whole row as it was, a part of it, or nothing. */
  readonly beforeImages: { readonly complete: number; readonly incomplete: number; readonly absent: number };
  readonly tombstones: number;
  readonly duplicates: KeyList;
  readonly outOfOrder: KeyList;
  /** Events whose state the ledger does not have. */
  readonly unexplained: KeyList;
};

export type CountInput = {
  readonly changes: readonly LedgerChange[];
  /** In the order in which they were read. */
  readonly events: readonly ObservedEvent[];
  readonly truncates: number;
  readonly tombstones: number;
  /** Transactions below this had ended when the window opened: events of theirs that the ledger part read does not explain are old, not wrong. */
  readonly windowStart: bigint;
  /** When the window had opened, ms since the epoch of this host: the same for events that do not know their transaction, as a sweep's. */
  readonly windowOpenedAt: number;
  readonly listedKeys: number;
};

/** Compares a table's events with its changes in the ledger. `matches` are those of the window, for the latencies. */
export function countEvents(input: CountInput): { readonly counts: TableEvents; readonly matches: readonly Match[] } {
  const { changes, events, listedKeys } = input;
  const lostStates = new KeyCollector(listedKeys);
  const lostDeletes = new KeyCollector(listedKeys);
  const deletesOfUnseen = new KeyCollector(listedKeys);
  const duplicates = new KeyCollector(listedKeys);
  const outOfOrder = new KeyCollector(listedKeys);
  const unexplained = new KeyCollector(listedKeys);
  const beforeImages = { complete: 0, incomplete: 0, absent: 0 };
  const inWindow: Match[] = [];

  const changesByKey = Map.groupBy(changes, ({ key }) => key);
  const eventsByKey = Map.groupBy(
    events.filter(({ op }) => op !== 't'),
    ({ key }) => key ?? '(no key)',
  );
  for (const key of new Set([...changesByKey.keys(), ...eventsByKey.keys()])) {
    const ofKey = changesByKey.get(key) ?? [];
    const result = matchKey(ofKey, eventsByKey.get(key) ?? []);
    const unseenLives = deletesOfUnseenLives(ofKey, result.matches);
    for (const match of result.matches) if (match.change.inWindow) inWindow.push(match);
    for (const change of result.unseen) {
      if (!change.inWindow || !change.committed) continue;
      (change.op === 'd' ? lostDeletes : lostStates).add(key);
      if (unseenLives.has(change)) deletesOfUnseen.add(key);
    }
    duplicates.add(key, result.duplicates.length);
    outOfOrder.add(key, result.outOfOrder);
    for (const event of result.unexplained) if (!isOld(event, input)) unexplained.add(key);
  }

  const seen = { states: 0, within: 0, deletes: 0 };
  for (const { event, change } of inWindow) {
    if (change.op !== 'c') beforeImages[event.before === null ? 'absent' : event.before === change.before ? 'complete' : 'incomplete'] += 1;
    if (!change.committed) seen.within += 1;
    else if (change.op === 'd') seen.deletes += 1;
    else seen.states += 1;
  }
  const relevant = changes.filter((change) => change.inWindow);
  const committed = relevant.filter((change) => change.committed);
  const deletes = committed.filter(({ op }) => op === 'd').length;
  const counts: TableEvents = {
    states: { committed: committed.length - deletes, superseded: countSuperseded(committed), seen: seen.states, lost: lostStates.list() },
    withinTransactions: { made: relevant.length - committed.length, seen: seen.within },
    deletes: { committed: deletes, seen: seen.deletes, lost: lostDeletes.list(), ofUnseen: deletesOfUnseen.list() },
    truncates: { committed: input.truncates, seen: events.filter(({ op }) => op === 't').length },
    beforeImages,
    tombstones: input.tombstones,
    duplicates: duplicates.list(),
    outOfOrder: outOfOrder.list(),
    unexplained: unexplained.list(),
  };
  return { counts, matches: inWindow };
}

/** Whether an event is of a change before the window. */
function isOld({ txId, receivedAt }: ObservedEvent, { windowStart, windowOpenedAt }: CountInput): boolean {
  return txId === null ? receivedAt < windowOpenedAt : precedes(txId, windowStart);
}

/** Deletes of rows whose insert is known and of which no event came: pure, of one key, in the order of its changes. */
function deletesOfUnseenLives(changes: readonly LedgerChange[], matches: readonly Match[]): ReadonlySet<LedgerChange> {
  const seen = new Set(matches.map(({ change }) => change));
  const found = new Set<LedgerChange>();
  // Of a row that was there before the window opened nothing is known: the ledger may begin before it, while somebody has a transaction open.
  let unseen = false;
  for (const change of changes) {
    if (change.op === 'c') unseen = change.inWindow;
    if (seen.has(change)) unseen = false;
    if (change.op !== 'd') continue;
    if (unseen) found.add(change);
    unseen = false;
  }
  return found;
}

function countSuperseded(committed: readonly LedgerChange[]): number {
  const later = new Set<string>();
  let superseded = 0;
  for (const { key, op } of committed.toReversed()) {
    if (op !== 'd' && later.has(key)) superseded += 1;
    later.add(key);
  }
  return superseded;
}
