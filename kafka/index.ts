/**
 * A thin port over the Kafka client (port.ts) and two adapters, kafkajs/ and platformatic/: transactions that fence, read_committed
 * consumers that keep their offsets elsewhere, topics with explicit settings. Promises what port.ts says; knows nothing of events or
 * tables.
 */
export { connectKafka } from './connect.ts';
export { followTopic, type TopicFollower } from './follow-topic.ts';
export { readToEnd } from './read-to-end.ts';
export { ByteWriter } from './write/byte-writer.ts';
export { RecordBuffers } from './write/record-buffers.ts';
export { createRecordBuilder, type RecordBuilder } from './write/record-builder.ts';
export type {
  BatchControl,
  ConsumedBatch,
  ConsumedMessage,
  ConsumerOptions,
  EncodedRecords,
  FetchedRun,
  FetchPlace,
  GroupConsumer,
  Kafka,
  KafkaAdmin,
  KafkaTransaction,
  OutgoingMessage,
  PartitionOffsets,
  PassedOffsets,
  TopicSpec,
  TopicReader,
  TransactionalProducer,
  UnreadableBatch,
} from './port.ts';
