import type { TopicPartition } from '#kafka/port.ts';
import type { DecodedEvents } from '../decode/decode-batch.ts';

/** The move of a partition's position that commits with what is done with its events. */
export type PositionMove = TopicPartition & {
  /** The offset and the epoch that must be stored now. */
  readonly expectedOffset: bigint;
  readonly epoch: bigint;
  readonly nextOffset: bigint;
};

/** Decoded events of one partition, in order, with the move of its position. Without events only the position moves. */
export type PartitionBatch = PositionMove & DecodedEvents;

/** What a batch has before `offset`. */
export function upTo(batch: PartitionBatch, offset: bigint): PartitionBatch {
  return {
    ...batch,
    messages: batch.messages.filter((message) => message.offset < offset),
    changes: batch.changes.filter((change) => change.offset < offset),
    nextOffset: offset,
  };
}
