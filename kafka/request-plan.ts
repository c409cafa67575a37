import type { OutgoingMessage } from './port.ts';
import { partitionForKey } from './murmur2.ts';

/** A message that knows its partition. */
export type PlacedMessage = OutgoingMessage & { readonly partition: number };

/** Bounds of what one request carries for one partition: a record batch may not pass the topic's max.message.bytes (1 MiB by default). */
export type RequestBounds = { readonly maxBytesPerPartition: number; readonly maxMessagesPerPartition: number };

/** Well below 1 MiB before compression; and few enough that kafkajs's quadratic grouping of messages stays cheap. */
const defaultRequestBounds: RequestBounds = { maxBytesPerPartition: 768 * 1024, maxMessagesPerPartition: 400 };

/** Framing of a record in a batch, in bytes, rounded up. */
const recordOverhead = 32;

/**
 * Cuts messages into requests. Within a partition their order is kept, across requests too; a request holds at most the bounds for
 * each partition, save that a single message larger than the bound goes alone (the broker decides whether it takes it).
 * Messages without key and partition are spread round-robin, beginning with `spreadFrom`.
 */
export function planRequests(
  messages: readonly OutgoingMessage[],
  partitions: number,
  bounds: RequestBounds = defaultRequestBounds,
  spreadFrom = 0,
): readonly (readonly PlacedMessage[])[] {
  const requests: PlacedMessage[][] = [];
  const fill: { request: number; bytes: number; count: number }[] = Array.from({ length: partitions }, () => ({
    request: 0,
    bytes: 0,
    count: 0,
  }));
  let spread = spreadFrom;
  for (const message of messages) {
    const partition = message.partition ?? (message.key === null ? spread++ % partitions : partitionForKey(message.key, partitions));
    const level = fill[partition];
    if (level === undefined) throw new RangeError(`partition ${partition} of ${partitions}`);
    const bytes = sizeOf(message);
    if (level.count > 0 && (level.bytes + bytes > bounds.maxBytesPerPartition || level.count >= bounds.maxMessagesPerPartition)) {
      level.request += 1;
      level.bytes = 0;
      level.count = 0;
    }
    level.bytes += bytes;
    level.count += 1;
    const placed = message.partition === undefined ? { ...message, partition } : { ...message, partition: message.partition };
    (requests[level.request] ??= []).push(placed);
  }
  return requests;
}

/** UTF-16 length stands for a string's bytes times at most 3; the bound has room for that mistake on ordinary text. */
function sizeOf({ key, value }: OutgoingMessage): number {
  return (key?.length ?? 0) + (value === null ? 0 : typeof value === 'string' ? Buffer.byteLength(value) : value.length) + recordOverhead;
}
