import { CdcError, type KafkaConfig, type Logger } from '#pipeline/index.ts';
import { Admin, Base, Consumer } from '@platformatic/kafka';
import type { Kafka } from '../port.ts';
import { wrapAdmin } from './admin.ts';
import { close } from './close.ts';
import { clientOptions } from './client-options.ts';
import { runConsumer } from './consumer.ts';
import { translateError } from './errors.ts';
import { ownTransactionalId } from './produce/producer.ts';
import { openReader } from './topic-reader.ts';

/** A Kafka of the port over @platformatic/kafka 2. Wants Kafka 3.0 or newer. */
export function connectPlatformatic(config: KafkaConfig, logger: Logger): Kafka {
  const options = clientOptions(config);
  const translate = (error: unknown, doing: string): unknown => translateError(error, config.brokers, doing);
  /** What a connection says after it failed is not news: the caller has had the error. */
  const calm = <Client extends Base>(client: Client): Client => {
    client.connections.on('connecting', ({ connection }) => {
      connection.on('error', (error) => logger.debug({ err: error }, 'a connection to Kafka failed'));
    });
    return client;
  };
  const admin = async (): Promise<Admin> => {
    const connected = calm(new Admin(options));
    try {
      await connected.metadata({ topics: [] });
      return connected;
    } catch (error) {
      await close(connected);
      throw translate(error, 'connect to Kafka');
    }
  };
  return {
    admin: async () => wrapAdmin(await admin(), translate),
    transactionalProducer: ({ transactionalId, transactionTimeoutMs = 60_000 }) =>
      ownTransactionalId({
        client: calm(new Base(options)),
        transactionalId,
        transactionTimeoutMs,
        requestTimeoutMs: config.requestTimeoutMs,
        compression: config.compression,
        translate,
      }),
    async consumer(consumerOptions) {
      await requireTopics(await admin(), consumerOptions.topics);
      return await runConsumer((own) => calm(new Consumer({ ...options, ...own })), consumerOptions, {
        requestTimeoutMs: config.requestTimeoutMs,
        maxBatchBytes: config.maxBatchMb * 2 ** 20,
        translate,
      });
    },
    reader: async ({ topic, readUncommitted = false }) =>
      openReader(calm(new Base(options)), { topic, readUncommitted, maxBatchBytes: config.maxBatchMb * 2 ** 20, translate }),
  };
}

async function requireTopics(admin: Admin, topics: readonly string[]): Promise<void> {
  try {
    const present = new Set(await admin.listTopics());
    const missing = topics.filter((topic) => !present.has(topic));
    if (missing.length > 0) throw new CdcError('TOPIC_MISSING', `topic ${missing.join(', ')} does not exist`);
  } finally {
    await close(admin);
  }
}
