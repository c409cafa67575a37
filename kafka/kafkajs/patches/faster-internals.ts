import type { OutgoingMessage } from '../../port.ts';
import { RecordWriter, roomFor } from '../../record-writer.ts';
import { isKnownVersion, isLoaded, replaceInternal } from './internals.ts';

/**
 * Two functions of kafkajs 2.2.4, on which it spends two fifths of a load's CPU, are replaced in memory by ones that give the same: the writer of a
 * record (a zeroed buffer of 512 bytes for each record and one for each number in it), and the grouping of a request's messages (which copies a
 * partition's messages for each further one). Another version is left as it is: slower, not wrong. test/unit/kafka-faster-internals.test.ts compares the bytes with kafkajs's own.
 */
const slabBytes = 128 * 1024;

/** What kafkajs hands to its writer of records. */
export type KafkaJsRecord = Pick<OutgoingMessage, 'key' | 'value' | 'headers'> & {
  readonly offsetDelta: number;
  readonly timestampDelta: number;
};

/** What kafkajs takes for one of its encoders: the written bytes. */
type Written = { readonly buf: Buffer; readonly buffer: Buffer };

/** As kafkajs's own, except that records lie one behind the other in larger buffers. */
export function createRecordEncoder(original: (record: KafkaJsRecord) => Written): (record: KafkaJsRecord) => Written {
  let writer = new RecordWriter(slabBytes);
  return (record) => {
    if (record.timestampDelta !== 0 || (record.headers !== undefined && Object.keys(record.headers).length > 0)) return original(record);
    const room = roomFor(record);
    if (writer.free < room) writer = new RecordWriter(Math.max(slabBytes, room));
    const start = writer.size;
    writer.record(record, record.offsetDelta);
    const buffer = writer.written(start);
    return { buf: buffer, buffer };
  };
}

/** What kafkajs groups messages by: the partition that the message has. */
type Placement<Message> = {
  readonly topic: string;
  readonly partitionMetadata: readonly unknown[];
  readonly messages: readonly Message[];
  readonly partitioner: (args: {
    readonly topic: string;
    readonly partitionMetadata: readonly unknown[];
    readonly message: Message;
  }) => number;
};

/** As kafkajs's own: messages by partition, in order; none without metadata. */
export function groupMessages<Message>({ topic, partitionMetadata, messages, partitioner }: Placement<Message>): Record<number, Message[]> {
  const groups: Record<number, Message[]> = {};
  if (partitionMetadata.length === 0) return groups;
  for (const message of messages) (groups[partitioner({ topic, partitionMetadata, message })] ??= []).push(message);
  return groups;
}

/**
 * Replaces them, in this process. kafkajs takes the grouping when it is first imported: this must come before that, or the grouping stays kafkajs's.
 *
 * @returns whether this process' kafkajs has them all
 */
export function replaceWithFaster(): boolean {
  if (!isKnownVersion()) return false;
  const isInTime = !isLoaded('src/producer/sendMessages');
  replaceInternal('src/producer/groupMessagesPerPartition', () => groupMessages);
  replaceInternal('src/protocol/recordBatch/record/v0', (original) =>
    isRecordEncoder(original) ? createRecordEncoder(original) : original,
  );
  return isInTime;
}

function isRecordEncoder(value: unknown): value is Parameters<typeof createRecordEncoder>[0] {
  return typeof value === 'function';
}
