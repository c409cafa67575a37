import type { KafkaConfig, Logger } from '#pipeline/index.ts';
import type { Kafka } from './port.ts';
import { spentAfterFailure } from './spent-producer.ts';

/** Connects with the client that `kafka.client` names, which is loaded when it is first used. */
export function connectKafka(config: KafkaConfig, logger: Logger): Kafka {
  let connected: Promise<Kafka> | undefined;
  const kafka = (): Promise<Kafka> => (connected ??= load(config, logger));
  return {
    admin: async () => await (await kafka()).admin(),
    transactionalProducer: async (options) => spentAfterFailure(await (await kafka()).transactionalProducer(options)),
    consumer: async (options) => await (await kafka()).consumer(options),
    reader: async (options) => await (await kafka()).reader(options),
  };
}

async function load(config: KafkaConfig, logger: Logger): Promise<Kafka> {
  if (config.client === 'kafkajs') {
    const { connectKafkaJs } = await import('./kafkajs/connect-kafka.ts');
    return connectKafkaJs(config, logger);
  }
  const { withChecksWhenUsed } = await import('./platformatic/checks-when-used.ts');
  const { connectPlatformatic } = await withChecksWhenUsed(() => import('./platformatic/connect-kafka.ts'));
  return connectPlatformatic(config, logger);
}
