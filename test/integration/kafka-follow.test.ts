import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { followTopic, type Kafka, type KafkaAdmin } from '#kafka/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { eventually } from '#test/support/read-database.ts';
import { uniqueName } from '#test/support/stack.ts';

let kafka: Kafka;
let admin: KafkaAdmin;
const topic = uniqueName('follow');

before(async () => {
  kafka = await testKafka();
  admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions: 2, replicationFactor: 1 }]);
});

after(async () => {
  await admin.deleteTopics([topic]);
  await admin[Symbol.asyncDispose]();
});

/** A producer of its own: it knows the partitions that there are now. */
async function send(value: string, partition: number): Promise<void> {
  await using producer = await kafka.transactionalProducer({ transactionalId: uniqueName('follow') });
  const transaction = await producer.begin();
  await transaction.send(topic, [{ key: null, value, partition }]);
  await transaction.commit();
}

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`${client}: a follower begins where it is asked to, says what is behind, and finds partitions that were added`, async () => {
    await send('old', 0);
    const own = await testKafka(client);
    const { signal } = new AbortController();
    await using all = await followTopic(own, { topic, from: 'beginning', signal });
    await using late = await followTopic(own, { topic, from: 'end', signal, lookForPartitionsMs: 0 });
    assert.ok(all.isBehind(0));
    assert.ok(late.partitions().every((partition) => !late.isBehind(partition)));
    const seen: string[] = [];
    await eventually(
      async () => {
        for (const { messages } of await all.next(all.partitions())) seen.push(...messages.map(({ value }) => String(value)));
        return all.isBehind(0);
      },
      (behind) => !behind,
    );
    assert.ok(seen.includes('old'));
    const added = late.partitions().length;
    await admin.ensurePartitions(topic, added + 1);
    await send('new', added);
    const found: string[] = [];
    await eventually(
      async () => {
        for (const { messages } of await late.next(late.partitions())) found.push(...messages.map(({ value }) => String(value)));
        return found.length;
      },
      (count) => count > 0,
    );
    assert.deepEqual(found, ['new']);
  });

  test(`${client}: whoever waits is let go when the signal is aborted`, async () => {
    const stop = new AbortController();
    await using follower = await followTopic(await testKafka(client), { topic, from: 'end', signal: stop.signal });
    const waiting = follower.next(follower.partitions());
    stop.abort(new Error('reported to end'));
    await assert.rejects(waiting, /reported to end/);
  });
}
