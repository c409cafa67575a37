import type { TopicPartition } from '#kafka/port.ts';
import type { DecodedEvents } from '../decode/decode-batch.ts';

/** Decoded events of one partition, in order, and the move of its position that commits with them. Without events only the position moves. */
export type PartitionBatch = TopicPartition &
  DecodedEvents & {
    /** The offset and the epoch that must be stored now. */
    readonly expectedOffset: bigint;
    readonly epoch: bigint;
    readonly nextOffset: bigint;
  };

/** What a batch has before `offset`. */
export function upTo(batch: PartitionBatch, offset: bigint): PartitionBatch {
  return {
    ...batch,
    messages: batch.messages.filter((message) => message.offset < offset),
    changes: batch.changes.filter((change) => change.offset < offset),
    nextOffset: offset,
  };
}
