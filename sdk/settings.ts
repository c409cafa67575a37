import { CdcError, pipelineSchema, type KafkaConfig, type SchemaRegistryConfig } from '#pipeline/index.ts';
import { formatTableId } from '#change-events/index.ts';
import * as z from 'zod';
import type { CommonOptions, Tables } from './options.ts';

const count = z.number().int().min(1);
const ms = z.number().int().min(1).max(2_147_483_647);

const topicName = z.string().regex(/^[\w.-]{1,249}$/);

/** The options that are plain values, with their defaults. */
const plain = z.object({
  group: z.string().min(1),
  topics: z
    .record(
      z.string(),
      z.union(
        [
          topicName.transform((topic) => ({ topic, value: 'change' as const })),
          z.strictObject({ topic: topicName, value: z.literal('outbox') }),
        ],
        {
          error: "expected the name of a topic, or { topic, value: 'outbox' }",
        },
      ),
    )
    .refine((topics) => Object.keys(topics).length > 0, 'expected a topic'),
  batch: z.object({ bytes: count.default(2 ** 20), changes: count.default(500) }).prefault({}),
  concurrency: count.default(4),
  handlerTimeoutMs: ms.default(60_000),
  retryMaxMs: ms.default(30_000),
  endTimeoutMs: ms.default(10_000),
  schema: z.string().min(1).max(63).default('cdc_consumer'),
  migrate: z.enum(['auto', 'require']).default('auto'),
  onError: z.enum(['retry', 'park']).default('retry'),
  tries: count.default(5),
  parkedMax: count.default(10_000),
  staleAfterMs: ms.default(60_000),
  clockAheadMs: z.number().int().min(0).default(0),
});

/** A topic that is followed, and what its messages are: Debezium's envelope, or what its outbox event router makes. */
export type TopicSettings = { readonly topic: string; readonly value: 'change' | 'outbox' };

export type Settings = z.output<typeof plain> & {
  readonly kafkaConfig: KafkaConfig;
  readonly registry: SchemaRegistryConfig | undefined;
};

/** @throws CdcError CONSUMER_INVALID that names the option */
export function readSettings(options: CommonOptions<Tables>): Settings {
  const settings = read('', plain, options);
  const names = Object.values(settings.topics).map(({ topic }) => topic);
  const twice = names.find((topic, index) => names.indexOf(topic) !== index);
  if (twice !== undefined) throw new CdcError('CONSUMER_INVALID', `topics: ${twice} is named twice`);
  return {
    ...settings,
    kafkaConfig: read('kafka: ', pipelineSchema.shape.kafka, options.kafka),
    registry:
      options.schemaRegistry === undefined
        ? undefined
        : read('schemaRegistry: ', pipelineSchema.shape.schemaRegistry, options.schemaRegistry),
  };
}

function read<T>(what: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new CdcError('CONSUMER_INVALID', `${what}${why}`);
}

/** The parts of a table's topic: `<prefix>.<schema>.<table>`. */
export function partsOf(topic: string): { readonly prefix: string; readonly schema: string; readonly table: string } {
  const [table = '', schema = '', ...prefix] = topic.split('.').toReversed();
  return { prefix: prefix.toReversed().join('.'), schema, table };
}

/** `schema.table` of a topic: exact for plain names, and otherwise as Kafka takes it. */
export function tableOf(topic: string): string {
  const { schema, table } = partsOf(topic);
  return schema === '' ? table : formatTableId({ schema, table });
}

/** The one capture that writes all topics; null when there are several, or none can be told. */
export function onePrefix(topics: readonly string[]): string | null {
  const prefixes = new Set(topics.map((topic) => partsOf(topic).prefix));
  const [prefix = ''] = prefixes;
  return prefixes.size === 1 && prefix !== '' ? prefix : null;
}
