import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '#stack/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

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
