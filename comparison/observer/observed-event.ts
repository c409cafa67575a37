import type { EventDecoder, Operation } from '#change-events/index.ts';
import type { ConsumedMessage } from '#kafka/index.ts';
import { eventImage, eventKey } from '../canonical/image.ts';
import type { TableShape } from '../canonical/shape.ts';

/** What is kept of one event: enough to match it with the ledger, little enough to keep a million of them. */
export type ObservedEvent = {
  /** Null for a truncate. */
  readonly key: string | null;
  readonly op: Operation;
  readonly txId: bigint | null;
  readonly partition: number;
  readonly offset: bigint;
  /** The broker's or producer's time of the message, ms since the epoch. */
  readonly messageTime: number;
  /** When a read_committed consumer on this host had it, ms since the epoch, with fractions. */
  readonly receivedAt: number;
  /** The row's state after the change; null for a delete or truncate. */
  readonly after: string | null;
  /** Columns that `after` lacks. */
  readonly missing: readonly string[];
  /** The before-image's digest; null when the event has none. */
  readonly before: string | null;
};

export type Observation = { readonly kind: 'event'; readonly event: ObservedEvent } | { readonly kind: 'tombstone'; readonly key: string };

/**
 * Reads one message of a table's topic, whose schemas the decoder knows by then.
 *
 * @throws CdcError EVENT_UNDECODABLE
 */
export function observe(
  decoder: EventDecoder,
  shape: TableShape,
  topic: string,
  partition: number,
  message: ConsumedMessage,
  receivedAt: number,
): Observation {
  const place = { topic, partition, offset: message.offset.toString() };
  const keyRow = decoder.decodeKey(message.key, place);
  const key = keyRow === null ? null : eventKey(shape, keyRow);
  const event = decoder.decodeChangeEvent(message.value, place);
  if (event === null) return { kind: 'tombstone', key: key ?? '' };
  const image = event.after === null ? null : eventImage(shape, event.after);
  const txId = event.source.txId ?? null;
  return {
    kind: 'event',
    event: {
      key: event.op === 't' ? null : key,
      op: event.op,
      txId: txId === null ? null : BigInt(txId),
      partition,
      offset: message.offset,
      messageTime: message.timestamp,
      receivedAt,
      after: image?.digest ?? null,
      missing: image?.missing ?? [],
      before: event.before === null ? null : eventImage(shape, event.before).digest,
    },
  };
}
