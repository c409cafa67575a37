import {
  stringifyLossless,
  unavailableValue,
  type ChangeEvent,
  type EventDecoder,
  type JsonValue,
  type MessagePlace,
  type Operation,
  type Row,
} from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { CdcError, ownMember } from '#pipeline/index.ts';
import type { Strategy } from './topics.ts';

type Where = {
  readonly strategy: Strategy;
  readonly place: MessagePlace;
};

/** A message as it is printed. */
export type TailEvent =
  | (Where & {
      readonly kind: 'change';
      readonly op: Operation;
      /** As it is printed, and as --key takes it. */
      readonly key: string;
      readonly keyRow: Row | null;
      readonly before: Row | null;
      readonly after: Row | null;
      /** ms since the epoch: when the source says that it changed; null when it does not. */
      readonly changedAt: number | null;
      /** ms since the epoch: Kafka's timestamp. */
      readonly writtenAt: number;
      /** From the change to Kafka, in ms; null for a row that a snapshot read, which may have changed long before. */
      readonly delayMs: number | null;
    })
  | (Where & { readonly kind: 'tombstone'; readonly key: string; readonly keyRow: Row | null; readonly writtenAt: number })
  | (Where & { readonly kind: 'unreadable'; readonly code: string; readonly message: string; readonly key: string | null });

/** Reads one message; what is no event is printed as such. Its schemas are there by now. */
export function readEvent(
  strategy: Strategy,
  place: MessagePlace,
  { key: keyBytes, value, timestamp }: ConsumedMessage,
  decoder: EventDecoder,
): TailEvent {
  let key: string | null = null;
  try {
    const keyRow = decoder.decodeKey(keyBytes, place);
    key = keyText(keyRow);
    const event = decoder.decodeChangeEvent(value, place);
    const where = { strategy, place, key, keyRow };
    if (event === null) return { ...where, kind: 'tombstone', writtenAt: timestamp };
    const changedAt = event.source.ts_ms ?? null;
    return {
      ...where,
      kind: 'change',
      op: event.op,
      before: event.before,
      after: event.after,
      changedAt,
      writtenAt: timestamp,
      delayMs: changedAt === null || isSnapshot(event) ? null : timestamp - changedAt,
    };
  } catch (error) {
    if (!(error instanceof CdcError) || error.code !== 'EVENT_UNDECODABLE') throw error;
    return unreadable(strategy, place, error, key);
  }
}

export function unreadable(strategy: Strategy, place: MessagePlace, { code, message }: CdcError, key: string | null = null): TailEvent {
  return { kind: 'unreadable', strategy, place, code, message, key };
}

function isSnapshot({ op }: ChangeEvent): boolean {
  return op === 'r';
}

/** A key as people read it: the value itself for a key of one column, JSON for more. */
function keyText(key: Row | null): string {
  if (key === null) return '-';
  const [only, ...more] = Object.values(key);
  if (only === undefined || more.length > 0) return stringifyLossless(key);
  return typeof only === 'string' ? only : stringifyLossless(only);
}

/** What an event says of one column. */
export type ColumnChange =
  | { readonly column: string; readonly kind: 'value'; readonly value: JsonValue }
  | { readonly column: string; readonly kind: 'changed'; readonly from: JsonValue; readonly to: JsonValue }
  /** Large, unchanged, and left out of the log. */
  | { readonly column: string; readonly kind: 'left-out' };

/**
 * What changed: of an update that has the whole row before, the columns that differ; of any other event the row, without the key, which is printed
 * apart.
 */
export function changesOf({ op, before, after, keyRow }: Extract<TailEvent, { readonly kind: 'change' }>): readonly ColumnChange[] {
  const row = after ?? before ?? {};
  const had = after === null ? null : before;
  const isWhole = op === 'u' && had !== null && Object.keys(row).every((column) => Object.hasOwn(had, column));
  return Object.entries(row).flatMap(([column, value]): readonly ColumnChange[] => {
    const isKey = keyRow !== null && Object.hasOwn(keyRow, column);
    if (value === unavailableValue) return isWhole ? [] : [{ column, kind: 'left-out' }];
    const old = had === null ? undefined : ownMember(had, column);
    if (old !== undefined && old !== unavailableValue) {
      const isSame = stringifyLossless(old) === stringifyLossless(value);
      if (!isSame) return [{ column, kind: 'changed', from: old, to: value }];
      if (isWhole) return [];
    }
    return isKey ? [] : [{ column, kind: 'value', value }];
  });
}
