import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { connectKafka } from '#kafka/index.ts';
import { silentLogger } from '#pipeline/index.ts';
import { testKafkaConfig } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

/** A consumer of somebody else's, with kafkajs as it is installed; what docs/change-event.md says to register is put in front. */
function plainConsumer(brokers: readonly string[], topics: readonly string[], register = ''): Promise<string> {
  const script = `
    import kafkajs from 'kafkajs';
    ${register}
    const kafka = new kafkajs.Kafka({ brokers: ${JSON.stringify(brokers)}, logLevel: kafkajs.logLevel.NOTHING });
    const consumer = kafka.consumer({ groupId: ${JSON.stringify(uniqueName('plain'))}, retry: { retries: 0 } });
    consumer.on('consumer.crash', ({ payload }) => { console.log(String(payload.error)); process.exit(); });
    await consumer.connect();
    await consumer.subscribe({ topics: ${JSON.stringify(topics)}, fromBeginning: true });
    const values = [];
    await consumer.run({ eachMessage: async ({ message }) => {
      values.push(String(message.value));
      if (values.length === ${topics.length}) { console.log(values.sort().join()); process.exit(); }
    } });`;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], { timeout: 120_000 }, (error, stdout) =>
      error === null ? resolve(stdout.trim()) : reject(error),
    );
  });
}

const zstdForKafkajs = `
    import zlib from 'node:zlib';
    import { promisify } from 'node:util';
    kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
      compress: (encoder) => promisify(zlib.zstdCompress)(encoder.buffer),
      decompress: (buffer) => promisify(zlib.zstdDecompress)(buffer),
    });`;

test('what is written with kafka.compression none or gzip every kafkajs reads; zstd, the default, when its codec is registered', async () => {
  const topics: Record<'zstd' | 'gzip' | 'none', string[]> = { zstd: [], gzip: [], none: [] };
  const { brokers } = await testKafkaConfig();
  for (const client of ['kafkajs', 'platformatic'] as const) {
    for (const compression of ['zstd', 'gzip', 'none'] as const) {
      const config = await testKafkaConfig(client);
      const kafka = connectKafka(compression === 'zstd' ? config : { ...config, compression }, silentLogger);
      const topic = uniqueName('compression');
      await using admin = await kafka.admin();
      await admin.ensureTopics([{ topic, partitions: 1, replicationFactor: 1 }]);
      await using producer = await kafka.transactionalProducer({ transactionalId: topic });
      const transaction = await producer.begin();
      await transaction.send(topic, [{ key: 'a', value: `${client} ${compression}` }]);
      await transaction.commit();
      topics[compression].push(topic);
    }
  }
  assert.equal(
    await plainConsumer(brokers, [...topics.gzip, ...topics.none]),
    'kafkajs gzip,kafkajs none,platformatic gzip,platformatic none',
  );
  for (const topic of topics.zstd) assert.match(await plainConsumer(brokers, [topic]), /ZSTD compression not implemented/);
  assert.equal(await plainConsumer(brokers, topics.zstd, zstdForKafkajs), 'kafkajs zstd,platformatic zstd');
});
