import type { LedgerChange } from '#comparison/events/match-key.ts';
import type { ObservedEvent } from '#comparison/observer/observed-event.ts';

/** A change of the ledger, committed in the window unless said otherwise. */
export function ledgerChange(change: Partial<LedgerChange> & { readonly txId: bigint }): LedgerChange {
  return { key: '1', op: 'u', after: null, before: null, partialAfter: new Map(), committed: true, inWindow: true, ...change };
}

let offset = 0n;

/** An event as an observer keeps it, at the next offset. */
export function observedEvent(event: Partial<ObservedEvent>): ObservedEvent {
  offset += 1n;
  return {
    key: '1',
    op: 'u',
    txId: null,
    partition: 0,
    offset,
    messageTime: 0,
    receivedAt: 0,
    after: null,
    missing: [],
    before: null,
    ...event,
  };
}

/** The event that capture should publish for a change. */
export function eventOf(change: LedgerChange): ObservedEvent {
  const { key, op, txId, after, before } = change;
  return observedEvent({ key, op, txId, after, before });
}
