import { connectKafka, type ConsumedMessage, type ConsumerOptions, type Kafka } from '#kafka/index.ts';
import { pipelineSchema, silentLogger, type KafkaConfig } from '#pipeline/index.ts';
import { testStack } from './stack.ts';

/** The shared stack's Kafka as configuration. */
export async function testKafkaConfig(client: KafkaConfig['client'] = 'kafkajs'): Promise<KafkaConfig> {
  const { kafka } = await testStack();
  return pipelineSchema.shape.kafka.parse({ brokers: kafka.brokers, partitions: 3, replicationFactor: 1, client });
}

export async function testKafka(client: KafkaConfig['client'] = 'kafkajs'): Promise<Kafka> {
  return connectKafka(await testKafkaConfig(client), silentLogger);
}

/** A Kafka whose consumers have other options, or their own changed. */
export function withConsumers(kafka: Kafka, change: (options: ConsumerOptions) => Partial<ConsumerOptions>): Kafka {
  return { ...kafka, consumer: (options) => kafka.consumer({ ...options, ...change(options) }) };
}

/** A running observer of topics: all committed messages, in the order in which they came. */
export type TopicObserver = AsyncDisposable & {
  readonly messages: (ConsumedMessage & { readonly topic: string; readonly partition: number })[];
  /** Resolves when `condition` holds for what has come so far; rejects with `describe()` after `timeoutMs`. */
  until(condition: () => boolean, describe: () => string, timeoutMs?: number): Promise<void>;
};

/** Observes topics from their beginning with a group of its own, read_committed. */
export async function observeTopics(kafka: Kafka, topics: readonly string[], groupId: string): Promise<TopicObserver> {
  const messages: TopicObserver['messages'] = [];
  const waiting = new Set<() => void>();
  const consumer = await kafka.consumer({
    groupId,
    topics,
    // What comes ends the wait. Shorter ones would keep broker and test busy with nothing; a stop waits for the last.
    maxWaitMs: 100,
    onBatch: async (batch) => {
      for (const { offset, key, value, timestamp, headers } of batch.messages) {
        messages.push({ offset, key, value, timestamp, headers, topic: batch.topic, partition: batch.partition });
      }
      for (const check of waiting) check();
    },
  });
  return {
    messages,
    async until(condition, describe, timeoutMs = 60_000) {
      if (condition()) return;
      const met = Promise.withResolvers<void>();
      const check = (): void => {
        if (condition()) met.resolve();
      };
      const timer = setTimeout(() => met.reject(new Error(`not within ${timeoutMs} ms: ${describe()}`)), timeoutMs);
      waiting.add(check);
      consumer.closed.catch(met.reject);
      try {
        check();
        await met.promise;
      } finally {
        waiting.delete(check);
        clearTimeout(timer);
      }
    },
    async [Symbol.asyncDispose]() {
      await consumer[Symbol.asyncDispose]();
    },
  };
}

/** Deletes the topics that pollers of these names, with their names as prefixes, have made. */
export async function deleteTopicsOf(...names: readonly string[]): Promise<void> {
  await using admin = await (await testKafka()).admin();
  const ours = names.flatMap((name) => [`${name}.`, `cdc-poller.${name}.`]);
  await admin.deleteTopics((await admin.listTopics()).filter((topic) => ours.some((prefix) => topic.startsWith(prefix))));
}
