import type { ConnectorOffsets } from '../rest/schemas.ts';
import { formatBytes, formatLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import type { SlotState } from '../postgres/facts/slot-state.ts';

/** What setting `wanted` would do; pure. `skipped` and `repeated` are bytes of log. */
export type Move =
  | { readonly kind: 'none' | 'unknown' }
  | { readonly kind: 'back'; readonly repeated: bigint }
  | { readonly kind: 'forward'; readonly skipped: bigint }
  /** The slot does not hold it: the connector would start later, or fail. */
  | { readonly kind: 'not-in-log'; readonly place: string }
  | { readonly kind: 'before-slot'; readonly missing: bigint; readonly slotAt: Lsn };

/**
 * Whether the slot still holds everything after the connector's position. `lost` says which changes cannot come any more; a slot that
 * vanished before the connector had a position has lost nothing.
 */
export type LossVerdict =
  | { readonly kind: 'none' }
  /** Neither position nor slot: the connector has never run. */
  | { readonly kind: 'unused' }
  /** It could not be seen, and why. */
  | { readonly kind: 'unknown'; readonly text: string }
  | { readonly kind: 'lost'; readonly reason: 'dropped' | 'invalidated' | 'made-again' | 'purged'; readonly text: string };

const positionFields = ['lsn', 'lsn_proc', 'lsn_commit'] as const;

/** How far a Debezium Postgres connector has come: the largest LSN of its offsets. Undefined without a position. */
export function positionOf(offsets: ConnectorOffsets): Lsn | undefined {
  const lsns = offsets.flatMap(({ offset }) =>
    positionFields.flatMap((field) => {
      const value = offset?.[field];
      // JSON numbers are exact up to 2^53 bytes of WAL (9 PB), far past any server.
      return typeof value === 'number' && Number.isSafeInteger(value) ? [BigInt(value)] : [];
    }),
  );
  return lsns.reduce<Lsn | undefined>((largest, lsn) => (largest === undefined || lsn > largest ? lsn : largest), undefined);
}

/**
 * Compares the slot with the position; pure. Read the slot **before** the position: both only move on, so a slot that is then ahead of
 * the position has really passed it.
 */
export function judgeLoss(slotName: string, slot: SlotState | null, position: Lsn | undefined): LossVerdict {
  if (slot === null) {
    if (position === undefined) return { kind: 'unused' };
    return lost('dropped', `replication slot ${slotName} does not exist any more: the changes after ${formatLsn(position)} are lost`);
  }
  if (slot.walStatus === 'lost' || slot.invalidation !== null) {
    const why = slot.invalidation === null ? '' : ` (${slot.invalidation})`;
    const since = position === undefined ? 'what it had not delivered' : `the changes after ${formatLsn(position)}`;
    return lost('invalidated', `replication slot ${slotName} was invalidated by the server${why}: ${since} are lost`);
  }
  const confirmed = slot.confirmedLsn === null ? undefined : parseLsn(slot.confirmedLsn);
  if (position === undefined || confirmed === undefined || confirmed <= position) return { kind: 'none' };
  return lost(
    'made-again',
    `replication slot ${slotName} begins at ${formatLsn(confirmed)}, after the position ${formatLsn(position)}: ` +
      `it was made again, or another consumer moved it; what ${formatBytes(confirmed - position)} of log in between held is lost`,
  );
}

/**
 * What a verdict is worth when the position is an old one, because Connect does not say where it is now: the slot may be ahead of it since
 * the connector has moved on. What has lost the slot altogether has lost it for any position.
 */
export function ofOldPosition(verdict: LossVerdict): LossVerdict {
  if (verdict.kind !== 'lost' || verdict.reason !== 'made-again') return verdict;
  return { kind: 'unknown', text: 'Kafka Connect does not report the position: whether the slot is ahead of it cannot be seen' };
}

function lost(reason: 'dropped' | 'invalidated' | 'made-again', text: string): LossVerdict {
  return { kind: 'lost', reason, text };
}
