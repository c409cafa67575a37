import kafkajs from 'kafkajs';
import { testKafkaConfig } from './kafka.ts';

/** What retention does in time, at once: the partition then begins at offset `before`. */
export async function deleteRecords(topic: string, partition: number, before: bigint): Promise<void> {
  const { brokers } = await testKafkaConfig();
  const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    // kafkajs only looks for the leader among topics that it has asked about.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: before.toString() }] });
  } finally {
    await admin.disconnect();
  }
}
