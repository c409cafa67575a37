import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectKafka, readToEnd, type Kafka } from '#kafka/index.ts';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { observeTopics, testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

async function makeTopic(kafka: Kafka, partitions = 3, config: Record<string, string> = {}): Promise<string> {
  const topic = uniqueName('port');
  await using admin = await kafka.admin();
  await admin.ensureTopics([{ topic, partitions, replicationFactor: 1, config }]);
  return topic;
}

async function readValues(kafka: Kafka, topic: string): Promise<string[]> {
  const values: string[] = [];
  await readToEnd(kafka, topic, ({ value }) => values.push(String(value)));
  return values;
}

test('a committed transaction is read whole, an aborted one not at all', async () => {
  const kafka = await testKafka();
  const topic = await makeTopic(kafka);
  await using producer = await kafka.transactionalProducer({ transactionalId: topic });
  const kept = await producer.begin();
  await kept.send(topic, [
    { key: 'a', value: '1' },
    { key: 'b', value: '2' },
  ]);
  await kept.commit();
  const dropped = await producer.begin();
  await dropped.send(topic, [{ key: 'a', value: '3' }]);
  await dropped.abort();
  const after = await producer.begin();
  await after.send(topic, [{ key: 'a', value: null, headers: { why: 'gone' } }]);
  await after.commit();
  const values = await readValues(kafka, topic);
  assert.deepEqual(values.toSorted(), ['1', '2', 'null']);
});

test('a newer producer of the same transactional id fences the older and ends its transaction', async () => {
  const kafka = await testKafka();
  const topic = await makeTopic(kafka);
  await using older = await kafka.transactionalProducer({ transactionalId: topic });
  const open = await older.begin();
  await open.send(topic, [{ key: 'a', value: 'of the older' }]);
  await using newer = await kafka.transactionalProducer({ transactionalId: topic });
  await assert.rejects(open.commit(), (error) => error instanceof CdcError && error.code === 'PRODUCER_FENCED');
  const transaction = await newer.begin();
  await transaction.send(topic, [{ key: 'a', value: 'of the newer' }]);
  await transaction.commit();
  assert.deepEqual(await readValues(kafka, topic), ['of the newer']);
});

test('messages of one key keep their order across requests, and land where a Java client would put them', async () => {
  const kafka = await testKafka();
  const topic = await makeTopic(kafka);
  await using producer = await kafka.transactionalProducer({ transactionalId: topic });
  const transaction = await producer.begin();
  await transaction.send(
    topic,
    Array.from({ length: 3000 }, (_, index) => ({ key: `{"id":${index % 7}}`, value: String(index) })),
  );
  await transaction.commit();
  await using observer = await observeTopics(kafka, [topic], uniqueName('group'));
  await observer.until(
    () => observer.messages.length >= 3000,
    () => `${observer.messages.length} of 3000 messages`,
  );
  const partitions = new Map<string, Set<number>>();
  const last = new Map<string, number>();
  for (const { key, value, partition } of observer.messages) {
    const name = String(key);
    partitions.set(name, (partitions.get(name) ?? new Set()).add(partition));
    assert.ok(Number(value) > (last.get(name) ?? -1), `key ${name}: ${String(value)} after ${last.get(name)}`);
    last.set(name, Number(value));
  }
  assert.ok([...partitions.values()].every((set) => set.size === 1));
});

test('a message beyond max.message.bytes is refused by its key and topic', async () => {
  const kafka = await testKafka();
  const topic = await makeTopic(kafka, 1, { 'max.message.bytes': '2000' });
  await using producer = await kafka.transactionalProducer({ transactionalId: topic });
  const transaction = await producer.begin();
  const noise = Array.from({ length: 3000 }, () => String.fromCodePoint(33 + Math.floor(Math.random() * 90))).join('');
  await assert.rejects(
    transaction.send(topic, [{ key: '{"id":7}', value: noise }]),
    (error) =>
      error instanceof CdcError &&
      error.code === 'KAFKA_MESSAGE_TOO_LARGE' &&
      error.message.includes('{"id":7}') &&
      error.message.includes(topic),
  );
  await transaction.abort();
});

test('a consumer goes where it seeks, and what onBatch throws stops it', async () => {
  const kafka = await testKafka();
  const topic = await makeTopic(kafka, 1);
  await using producer = await kafka.transactionalProducer({ transactionalId: topic });
  const transaction = await producer.begin();
  await transaction.send(
    topic,
    Array.from({ length: 10 }, (_, index) => ({ key: 'k', value: String(index) })),
  );
  await transaction.commit();
  const batches: string[][] = [];
  await using consumer = await kafka.consumer({
    groupId: uniqueName('group'),
    topics: [topic],
    onBatch: async (batch, control) => {
      batches.push(batch.messages.map(({ value }) => String(value)));
      if (batches.length === 1) control.seek(7n);
      else throw new RangeError('enough');
    },
  });
  await assert.rejects(consumer.closed, /enough/);
  assert.deepEqual(batches[1], ['7', '8', '9']);
  assert.equal(batches.length, 2);
});

test('an address where no broker answers becomes one error that names it', async () => {
  const config = { ...(await testKafkaConfig()), brokers: ['127.0.0.1:1'] };
  const kafka = connectKafka(config, silentLogger);
  await assert.rejects(
    kafka.admin(),
    (error) => error instanceof CdcError && error.code === 'KAFKA_UNREACHABLE' && error.message.includes('127.0.0.1:1'),
  );
});

test('a topic that does not exist is named at once', async () => {
  const kafka = await testKafka();
  const missing = uniqueName('missing');
  await assert.rejects(
    kafka.consumer({ groupId: uniqueName('group'), topics: [missing], onBatch: async () => undefined }),
    (error) => error instanceof CdcError && error.code === 'TOPIC_MISSING' && error.message.includes(missing),
  );
});
