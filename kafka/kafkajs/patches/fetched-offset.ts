import { builtOtherwise, internal } from './internals.ts';

/** From where a batch of kafkajs was fetched: it has this, and leaves it out of its type. */
export function fetchedOffset(batch: object): bigint {
  const offset: unknown = Reflect.get(batch, 'fetchedOffset');
  if (typeof offset !== 'string') throw new TypeError('this kafkajs does not say from which offset it fetched');
  return BigInt(offset);
}

/**
 * Of a batch without messages only an event says so, with the offset of its first record: a hole before it (compaction) looks like
 * what was never asked for. From now on the event has the offset that was asked for.
 *
 * @throws Error when kafkajs is built otherwise
 */
export function patchFetchedOffsets(): void {
  const batches = internal('src/consumer/batch');
  const prototype: unknown = typeof batches === 'function' ? batches.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) throw builtOtherwise('batches');
  const firstOffset: unknown = Reflect.get(prototype, 'firstOffset');
  if (typeof firstOffset !== 'function') throw builtOtherwise('batches');
  Reflect.set(prototype, 'firstOffset', function ofBatch(this: object): unknown {
    const messages: unknown = Reflect.get(this, 'messages');
    return Array.isArray(messages) && messages.length === 0 ? String(fetchedOffset(this)) : Reflect.apply(firstOffset, this, []);
  });
}
