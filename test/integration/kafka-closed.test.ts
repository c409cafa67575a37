import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { BatchControl, Kafka } from '#kafka/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { eventually } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

async function makeTopic(kafka: Kafka): Promise<string> {
  const topic = uniqueName('closed');
  await using admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions: 3, replicationFactor: 1 }]);
  return topic;
}

/** Connections of this process that keep it alive. */
const connections = async (): Promise<number> => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

const onBatch = async (): Promise<void> => undefined;

async function assertNoConnection(): Promise<void> {
  await eventually(connections, (count) => count === 0, 15_000);
}

for (const client of ['kafkajs', 'platformatic'] as const) {
  suite(`${client}: what is closed has no connection any more, and makes none`, () => {
    test('an admin that is closed while it is asked, and asked once more', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka);
      for (let round = 0; round < 5; round += 1) {
        const admin = await kafka.admin();
        const asked = Promise.allSettled([admin.offsetsOf(topic), admin.listTopics(), admin.offsetsOf(topic)]);
        await new Promise((resolve) => setTimeout(resolve, round));
        await admin[Symbol.asyncDispose]();
        await asked;
        await assert.rejects(admin.offsetsOf(topic));
        await assertNoConnection();
      }
    });

    test('a producer that is closed while it sends', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka);
      const producer = await kafka.transactionalProducer({ transactionalId: topic });
      const transaction = await producer.begin();
      const sent = transaction.send(topic, [{ key: 'a', value: '1' }]).then(() => transaction.commit());
      await producer[Symbol.asyncDispose]();
      await sent.catch(() => undefined);
      await assert.rejects(async () => {
        const late = await producer.begin();
        await late.send(topic, [{ key: 'a', value: '2' }]);
        await late.commit();
      });
      await assertNoConnection();
    });

    test('members that are closed while their group rebalances', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka);
      const groupId = uniqueName('group');
      const rejoined = Promise.withResolvers<void>();
      let joined = 0;
      const onAssigned = (): void => {
        joined += 1;
        if (joined > 1) rejoined.resolve();
      };
      const first = await kafka.consumer({ groupId, topics: [topic], onBatch, onAssigned, sessionTimeoutMs: 6000 });
      const others = [1, 2].map(() => kafka.consumer({ groupId, topics: [topic], onBatch, sessionTimeoutMs: 6000 }));
      await rejoined.promise;
      await Promise.all([first, ...(await Promise.all(others))].map((member) => member[Symbol.asyncDispose]()));
      await assertNoConnection();
    });

    test('a consumer whose handler heartbeats after the end', async () => {
      const kafka = await testKafka(client);
      const topic = await makeTopic(kafka);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const transaction = await producer.begin();
      await transaction.send(topic, [{ key: 'a', value: '1' }]);
      await transaction.commit();
      const handled = Promise.withResolvers<BatchControl>();
      const consumer = await kafka.consumer({
        groupId: uniqueName('group'),
        topics: [topic],
        sessionTimeoutMs: 6000,
        onBatch: async (_batch, control) => handled.resolve(control),
      });
      const control = await handled.promise;
      await consumer[Symbol.asyncDispose]();
      await producer[Symbol.asyncDispose]();
      // Past the interval in which a client answers for itself.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await control.heartbeat().catch(() => undefined);
      assert.equal(control.isCurrent(), false);
      await assertNoConnection();
    });
  });
}
