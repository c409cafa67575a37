import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { connectKafka, readToEnd, type ConsumedMessage, type UnreadableBatch } from '#kafka/index.ts';
import { CdcError, silentLogger } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { produceWithJava } from '#test/support/java-producer.ts';
import { testKafka, testKafkaConfig } from '#test/support/kafka.ts';
import { packers, recordBatch } from '#test/support/record-batches.ts';
import { produceBatch } from '#test/support/raw-produce.ts';
import { uniqueName } from '#test/support/stack.ts';

const clients = ['kafkajs', 'platformatic'] as const;
const limits = { signal: AbortSignal.timeout(600_000), timeoutMs: 120_000 };
const mebibyte = 2 ** 20;

async function makeTopic(config: Record<string, string> = {}): Promise<string> {
  const topic = uniqueName('codecs');
  await using admin = await (await testKafka()).admin();
  await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1, config }]);
  return topic;
}

async function readAll(client: (typeof clients)[number], topic: string): Promise<ConsumedMessage[]> {
  const read: ConsumedMessage[] = [];
  await readToEnd(await testKafka(client), topic, (message) => read.push(message), AbortSignal.timeout(120_000));
  return read;
}

const lines = Array.from({ length: 50 }, (_, index) => `line ${index}: ${'some text that repeats, '.repeat(index)}`);

/** Those that Kafka's clients frame in ways of their own; the others each night. */
const javaCodecs = process.env['TEST_NIGHTLY'] === '1' ? ['none', 'gzip', 'snappy', 'lz4', 'zstd'] : ['snappy', 'lz4'];

for (const codec of javaCodecs) {
  test(`what Kafka's own client packs with ${codec} is read by both clients`, { timeout: 300_000 }, async () => {
    const topic = await makeTopic();
    await produceWithJava(topic, lines, 2000, [`compression.type=${codec}`, 'linger.ms=50', 'batch.size=65536', 'acks=all']);
    const [one, other] = [await readAll('kafkajs', topic), await readAll('platformatic', topic)];
    assert.equal(one.length, 2000);
    const values = one.map(({ value }) => String(value));
    assert.deepEqual(
      values.filter((value) => !lines.includes(value)),
      [],
    );
    assert.deepEqual(
      other.map(({ value }) => String(value)),
      values,
    );
    assert.deepEqual(
      other.map(({ offset }) => offset),
      one.map(({ offset }) => offset),
    );
  });
}

test('what other clients pack, in every form, is read by both clients', { timeout: 300_000 }, async () => {
  const topic = await makeTopic();
  const expected: string[] = [];
  // Brokers read one frame only, so that no more can come from them.
  for (const packer of Object.keys(packers).filter((name) => name !== 'lz4 (several frames)')) {
    const values = lines.slice(0, 20).map((line) => `${packer} ${line}`);
    await produceBatch(
      topic,
      0,
      recordBatch(
        values.map((value) => ({ key: packer, value })),
        { packer },
      ),
    );
    expected.push(...values);
  }
  for (const client of clients) {
    assert.deepEqual(
      (await readAll(client, topic)).map(({ value }) => String(value)),
      expected,
      client,
    );
  }
});

for (const client of clients) {
  suite(client, () => {
    test(
      'a batch that unpacks to more than it may is named with its place, asked for again, and passed where the handler says so; the other partitions go on',
      { timeout: 300_000 },
      async () => {
        const topic = uniqueName('bomb');
        const kafka = connectKafka({ ...(await testKafkaConfig(client)), maxBatchMb: 1 }, silentLogger);
        await using admin = await kafka.admin();
        await admin.ensureTopics([{ topic, partitions: 2, replicationFactor: 1 }]);
        await produceBatch(topic, 0, recordBatch([{ key: 'a', value: 'before' }]));
        const bomb = recordBatch([{ key: 'b', value: Buffer.alloc(3 * mebibyte, ' ') }], { packer: 'zstd' });
        assert.ok(bomb.length < 2000, 'it is small on the wire');
        await produceBatch(topic, 0, bomb);
        await produceBatch(topic, 0, recordBatch([{ key: 'c', value: 'after' }]));
        await produceBatch(topic, 1, recordBatch([{ key: 'd', value: 'other partition' }]));
        const reported: UnreadableBatch[] = [];
        const read: string[] = [];
        await using consumer = await kafka.consumer({
          groupId: uniqueName('group'),
          topics: [topic],
          onBatch: async ({ messages }) => {
            read.push(...messages.map(({ value }) => String(value)));
          },
          onUnreadable: async (batch, control) => {
            reported.push(batch);
            control.pause(10);
            if (reported.length >= 3) control.seek(batch.nextOffset);
          },
        });
        await waitFor(async () => read.includes('after') && read.includes('other partition'), { ...limits, describe: 'the rest was read' });
        assert.deepEqual(read.toSorted(), ['after', 'before', 'other partition']);
        assert.equal(reported.length, 3);
        for (const { partition, offset, nextOffset, error } of reported) {
          assert.deepEqual([partition, offset, nextOffset, error.code], [0, 1n, 2n, 'KAFKA_BATCH_TOO_LARGE']);
        }
        void consumer;
      },
    );

    test(
      'a consumer that knows nothing of such batches ends with its name, and so does a reading to the end',
      { timeout: 300_000 },
      async () => {
        const topic = await makeTopic();
        const kafka = connectKafka({ ...(await testKafkaConfig(client)), maxBatchMb: 1 }, silentLogger);
        await produceBatch(topic, 0, recordBatch([{ key: 'b', value: Buffer.alloc(3 * mebibyte, ' ') }], { packer: 'lz4' }));
        const isNamed = (error: unknown): boolean =>
          error instanceof CdcError && error.code === 'KAFKA_BATCH_TOO_LARGE' && error.message.includes(topic);
        await assert.rejects(
          readToEnd(kafka, topic, () => undefined),
          isNamed,
        );
        await using consumer = await kafka.consumer({
          groupId: uniqueName('group'),
          topics: [topic],
          onBatch: async () => assert.fail('it was read'),
        });
        await assert.rejects(consumer.closed, isNamed);
      },
    );
  });
}
