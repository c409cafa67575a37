import assert from 'node:assert/strict';
import { test } from 'node:test';
import getPort from 'get-port';
import { connectKafka } from '#kafka/index.ts';
import { silentLogger } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';
import { createTcpSwitch } from '#test/support/tcp-switch.ts';

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`${client}: a topic has an id, which another one made under its name has not`, async () => {
    await using admin = await (await testKafka(client)).admin();
    await using other = await (await testKafka(client === 'kafkajs' ? 'platformatic' : 'kafkajs')).admin();
    const [topic, missing] = [uniqueName('topic-id'), uniqueName('missing')];
    await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
    const first = await admin.topicIds([topic, missing]);
    assert.deepEqual([...first.keys()], [topic]);
    assert.match(first.get(topic) ?? '', /[1-9a-f]/);
    assert.deepEqual(await other.topicIds([topic]), first, 'both clients say the same');
    await admin.deleteTopics([topic]);
    const gone = async (): Promise<boolean> => (await admin.topicIds([topic])).size === 0;
    await waitFor(gone, { signal: AbortSignal.timeout(60_000), timeoutMs: 60_000, describe: 'the topic is gone' });
    await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
    const second = (await admin.topicIds([topic])).get(topic) ?? null;
    assert.notEqual(second, null);
    assert.notEqual(second, first.get(topic));
  });
}

test('kafkajs: a question about ids that finds no broker, or loses it, costs the next one nothing', async () => {
  const config = await testKafkaConfig('kafkajs');
  const [host = '', port = ''] = (config.brokers[0] ?? '').split(':');
  const broker = { host, port: Number(port) };
  const nobody = { host, port: await getPort({ host }) };
  await using way = await createTcpSwitch(broker);
  await using admin = await connectKafka({ ...config, brokers: [`${way.host}:${way.port}`] }, silentLogger).admin();
  const topic = uniqueName('topic-id');
  await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
  way.to(nobody);
  await assert.rejects(admin.topicIds([topic]));
  way.to(broker);
  const ids = await admin.topicIds([topic]);
  assert.equal(ids.size, 1);
  way.to(nobody);
  await assert.rejects(admin.topicIds([topic]));
  way.to(broker);
  assert.deepEqual(await admin.topicIds([topic]), ids);
});

test('kafkajs: a question about ids whose broker is gone is asked of another one', async () => {
  const config = await testKafkaConfig('kafkajs');
  const [host = '', port = ''] = (config.brokers[0] ?? '').split(':');
  const broker = { host, port: Number(port) };
  // Whoever asks begins at the first.
  const first = await createTcpSwitch(broker);
  await using second = await createTcpSwitch(broker);
  const brokers = [first, second].map((way) => `${way.host}:${way.port}`);
  await using admin = await connectKafka({ ...config, brokers }, silentLogger).admin();
  const topic = uniqueName('topic-id');
  await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
  const ids = await admin.topicIds([topic]);
  assert.equal(ids.size, 1);
  await first[Symbol.asyncDispose]();
  assert.deepEqual(await admin.topicIds([topic]), ids);
  assert.deepEqual(await admin.topicIds([topic]), ids);
});
