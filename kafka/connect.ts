import type { KafkaConfig, Logger } from '#pipeline/index.ts';
import { connectKafkaJs } from './kafkajs/connect-kafka.ts';
import type { Kafka } from './port.ts';
import { spentAfterFailure } from './spent-producer.ts';

/** Connects with the client that `kafka.client` names. @platformatic/kafka is loaded when it is first used. */
export function connectKafka(config: KafkaConfig, logger: Logger): Kafka {
  const kafka = connectClient(config, logger);
  return { ...kafka, transactionalProducer: async (options) => spentAfterFailure(await kafka.transactionalProducer(options)) };
}

function connectClient(config: KafkaConfig, logger: Logger): Kafka {
  if (config.client === 'kafkajs') return connectKafkaJs(config, logger);
  let connected: Promise<Kafka> | undefined;
  const kafka = (): Promise<Kafka> => (connected ??= load(config, logger));
  return {
    admin: async () => await (await kafka()).admin(),
    transactionalProducer: async (options) => await (await kafka()).transactionalProducer(options),
    consumer: async (options) => await (await kafka()).consumer(options),
    reader: async (options) => await (await kafka()).reader(options),
  };
}

async function load(config: KafkaConfig, logger: Logger): Promise<Kafka> {
  const { connectPlatformatic } = await import('./platformatic/connect-kafka.ts');
  return connectPlatformatic(config, logger);
}
