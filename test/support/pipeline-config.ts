import { pipelineSchema, type PipelineConfig } from '#pipeline/index.ts';
import type { LegacyDatabase } from './legacy-database.ts';
import { testRegistryConfig } from './registry.ts';
import { testStack } from './stack.ts';

export type TestPollerSettings = {
  readonly name: string;
  readonly tables: readonly { readonly table: string; readonly [setting: string]: unknown }[];
  readonly [setting: string]: unknown;
};

/**
 * pipeline.yaml as a value, for a test's own database on the shared stack. The poller's name is also its topic prefix.
 * CDC_TEST_KAFKA_CLIENT=platformatic runs the same tests with the other client.
 */
export async function testPipelineConfig(database: LegacyDatabase, poller?: TestPollerSettings): Promise<PipelineConfig> {
  const { kafka, schemaRegistry } = await testStack();
  return pipelineSchema.parse({
    legacyDb: database.config,
    kafka: { brokers: kafka.brokers, partitions: 3, replicationFactor: 1, client: process.env['CDC_TEST_KAFKA_CLIENT'] },
    ...(schemaRegistry === undefined ? {} : { schemaRegistry: await testRegistryConfig() }),
    ...(poller === undefined ? {} : { poller: { topicPrefix: poller.name, ...poller } }),
  });
}
