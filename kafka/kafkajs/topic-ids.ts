import type { KafkaConfig, Logger } from '#pipeline/index.ts';
import type { KafkaAdmin } from '../port.ts';

export type TopicIds = { readonly ask: KafkaAdmin['topicIds']; readonly close: () => Promise<void> };

/**
 * kafkajs asks in words of Kafka 2.3, which know no ids of topics: the other client asks this one question, over a connection that is made
 * with the first one and kept, since a read model asks again and again.
 */
export function createTopicIds(config: KafkaConfig, logger: Logger): TopicIds {
  let opened: Promise<KafkaAdmin> | undefined;
  const open = async (): Promise<KafkaAdmin> => {
    const { connectPlatformatic } = await import('../platformatic/connect-kafka.ts');
    return await connectPlatformatic(config, logger).admin();
  };
  return {
    ask: async (topics) => {
      const admin = (opened ??= open());
      try {
        return await (await admin).topicIds(topics);
      } catch (error) {
        // The next question makes another one.
        if (opened === admin) opened = undefined;
        await admin.then((one) => one[Symbol.asyncDispose]()).catch(() => undefined);
        throw error;
      }
    },
    close: async () => {
      await opened?.then((one) => one[Symbol.asyncDispose]()).catch(() => undefined);
      opened = undefined;
    },
  };
}
