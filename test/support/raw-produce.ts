import { setTimeout as delay } from 'node:timers/promises';
import { Admin, createAPI, produceV9, Writer, type Connection } from '@platformatic/kafka';
import { clientOptions } from '#kafka/platformatic/client-options.ts';
import { testKafkaConfig } from './kafka.ts';

const acksAll = -1;

const produceRaw = createAPI<[topic: string, partition: number, batch: Buffer], number>(
  produceV9.api.key,
  produceV9.api.version,
  (topic, partition, batch) =>
    Writer.create()
      .appendString(null)
      .appendInt16(acksAll)
      .appendInt32(30_000)
      .appendArray([topic], (topics, name) => {
        topics.appendString(name).appendArray([partition], (partitions, each) => {
          partitions
            .appendInt32(each)
            .appendUnsignedVarInt(batch.length + 1)
            .append(batch);
        });
      })
      .appendTaggedFields(),
  (_correlationId, _key, _version, reader) => {
    // The lengths of two lists, the topic and the partition come first.
    reader.readUnsignedVarInt();
    reader.readString();
    reader.readUnsignedVarInt();
    reader.readInt32();
    return reader.readInt16();
  },
);

/** Unknown topic or partition, no leader, not the leader: nothing was written, for a broker may learn of a new topic after it is said to lead it. */
const notYet: ReadonlySet<number> = new Set([3, 5, 6]);

/** Gives a batch of records to the shared stack's broker as it is. @throws Error with the broker's code when it refuses it */
export async function produceBatch(topic: string, partition: number, batch: Buffer): Promise<void> {
  const admin = new Admin(clientOptions(await testKafkaConfig()));
  const deadline = performance.now() + 30_000;
  try {
    for (;;) {
      const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
      const broker = metadata.brokers.get(metadata.topics.get(topic)?.partitions[partition]?.leader ?? -1);
      if (broker === undefined) throw new Error(`nobody leads ${topic}/${partition}`);
      const connection: Connection = await admin.connections.get(broker);
      const code = await produceRaw.async(connection, topic, partition, batch);
      if (code === 0) return;
      if (!notYet.has(code) || performance.now() > deadline) throw new Error(`the broker refused the batch with code ${code}`);
      await delay(50);
    }
  } finally {
    await admin.close();
  }
}
