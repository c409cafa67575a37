import type { ConsumedMessage } from '#kafka/index.ts';

/** A run of a batch's messages that is decoded and applied as one. */
export type Slice = {
  readonly messages: readonly ConsumedMessage[];
  /** Of keys and values as they were consumed; decoded they take a small multiple. */
  readonly bytes: number;
  /** Where the partition goes on after it. */
  readonly nextOffset: bigint;
};

/** A slice is closed before it would pass one of these: short enough that decoding and applying overlap, long enough to pay for its transaction. */
const sliceBytes = 4 * 2 ** 20;
const sliceMessages = 8000;

/** Cuts messages into slices bounded by bytes and by number; a message that is larger alone makes a slice. `end` is the offset after all of them. */
export function sliceBatch(messages: readonly ConsumedMessage[], end: bigint): readonly Slice[] {
  const slices: Slice[] = [];
  let from = 0;
  let bytes = 0;
  for (const [at, { key, value, offset }] of messages.entries()) {
    const size = (key?.length ?? 0) + (value?.length ?? 0);
    if (at > from && (bytes + size > sliceBytes || at - from >= sliceMessages)) {
      slices.push({ messages: messages.slice(from, at), bytes, nextOffset: offset });
      from = at;
      bytes = 0;
    }
    bytes += size;
  }
  if (messages.length > from) slices.push({ messages: messages.slice(from), bytes, nextOffset: end });
  return slices;
}
