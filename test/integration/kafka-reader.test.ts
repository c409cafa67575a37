import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import kafkajs from 'kafkajs';
import { connectKafka, readToEnd, type Kafka } from '#kafka/index.ts';
import { silentLogger } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

/** The groups that have a member of this client id. */
async function groupsOf(clientId: string): Promise<readonly string[]> {
  const admin = new kafkajs.Kafka({ brokers: [...(await testKafkaConfig()).brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { groups } = await admin.listGroups();
    const described = await admin.describeGroups(groups.map(({ groupId }) => groupId));
    return described.groups.filter(({ members }) => members.some((member) => member.clientId === clientId)).map(({ groupId }) => groupId);
  } finally {
    await admin.disconnect();
  }
}

async function until(describe: string, condition: () => boolean): Promise<void> {
  await waitFor(async () => condition(), { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe });
}

const nothing = (): void => undefined;

for (const client of ['kafkajs', 'platformatic'] as const) {
  suite(client, () => {
    test('who reads a topic to its end is in no group, waits for what is open, and is let go as soon as it is aborted', async () => {
      const clientId = uniqueName('reader');
      const kafka = connectKafka({ ...(await testKafkaConfig(client)), clientId }, silentLogger);
      const topic = await makeTopic(kafka);
      await using producer = await (await testKafka(client)).transactionalProducer({ transactionalId: topic });
      const open = await producer.begin();
      await open.send(topic, [{ key: 'a', value: 'open' }]);
      const over = new AbortController();
      let fetched = 0;
      const counting: Kafka = {
        ...kafka,
        reader: async (options) => {
          const reader = await kafka.reader(options);
          return { fetch: (places) => ((fetched += 1), reader.fetch(places)), [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose]() };
        },
      };
      const reading = readToEnd(counting, topic, nothing, over.signal);
      reading.catch(nothing);
      await until('it waits for the open transaction', () => fetched >= 3);
      assert.deepEqual(await groupsOf(clientId), []);
      const reason = new Error('enough');
      over.abort(reason);
      await assert.rejects(reading, reason);
      await open.abort();
    });
  });
}

async function makeTopic(kafka: Kafka): Promise<string> {
  const topic = uniqueName('reader');
  await using admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1, config: {} }]);
  return topic;
}
