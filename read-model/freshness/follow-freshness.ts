import { randomUUID } from 'node:crypto';
import { formatTableId, heartbeatOf, heartbeatTopic, topicName, type EventDecoder, type TableId } from '#change-events/index.ts';
import type { ConsumedBatch, Kafka, KafkaAdmin } from '#kafka/index.ts';
import { describeError, pause, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { Heartbeats } from './heartbeats.ts';
import { moveFreshness, proofOf, type Proof } from './proof.ts';

export type FreshnessOptions = {
  readonly schema: string;
  readonly topicPrefix: string;
  readonly groupId: string;
  /** The source tables of the mirrors. */
  readonly tables: readonly TableId[];
  readonly decoder: EventDecoder;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly pool: Pool;
  readonly logger: Logger;
};

/** How often it is looked whether a heartbeat's time has been reached, and after an error. */
const lookEveryMs = 250;
const tryAgainMs = 2000;

/**
 * Keeps the model's `freshness` until `signal` is aborted. Each time in three steps, in this order: capture says (by a heartbeat) that
 * everything before T is in Kafka; where the topics end now; when the model has applied as much, it is complete up to T. Without heartbeats
 * nothing is claimed. Never ends the model: what goes wrong leaves the freshness where it is, so that it shows.
 */
export async function followFreshness(options: FreshnessOptions, signal: AbortSignal): Promise<void> {
  const { schema, logger } = options;
  while (!signal.aborted) {
    try {
      await follow(options, signal);
    } catch (error) {
      if (!signal.aborted) logger.warn({ schema, reason: describeError(error) }, 'the freshness is not known for now; trying again');
    }
    await pause(tryAgainMs, signal);
  }
}

async function follow(
  { schema, topicPrefix, groupId, tables, decoder, kafka, admin, pool }: FreshnessOptions,
  signal: AbortSignal,
): Promise<void> {
  const topic = heartbeatTopic(topicPrefix);
  while (!(await admin.listTopics()).includes(topic)) {
    await pause(tryAgainMs, signal);
    if (signal.aborted) return;
  }
  const heartbeats = new Heartbeats();
  const ownGroup = `${groupId}.freshness-${randomUUID()}`;
  {
    await using consumer = await kafka.consumer({
      groupId: ownGroup,
      topics: [topic],
      onBatch: async (batch) => {
        await decoder.prepare(batch.messages, signal);
        noteAll(heartbeats, decoder, batch);
      },
    });
    const failed = consumer.closed.then(() => Promise.reject(new Error('the consumer of heartbeats was closed')));
    failed.catch(() => undefined);
    let proof: Proof | null = null;
    let known = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      proof ??= await Promise.race([proofOf({ heartbeats, admin, pool, known }, await topicsOf(admin, topicPrefix, tables)), failed]);
      if (proof !== null && (await moveFreshness(pool, schema, proof))) {
        known = proof.provenTo;
        proof = null;
      }
      await Promise.race([pause(lookEveryMs, signal), failed]);
    }
  }
  await admin.deleteGroup(ownGroup).catch(() => undefined);
}

/** Those of the tables that have a topic, with it. */
async function topicsOf(admin: KafkaAdmin, prefix: string, tables: readonly TableId[]): Promise<ReadonlyMap<string, string>> {
  const existing = new Set(await admin.listTopics());
  return new Map(
    tables.map((table) => [formatTableId(table), topicName(prefix, table)] as const).filter(([, topic]) => existing.has(topic)),
  );
}

function noteAll(heartbeats: Heartbeats, decoder: EventDecoder, { topic, partition, messages }: ConsumedBatch): void {
  for (const { value, offset } of messages) {
    const event = decoder.decodeChangeEvent(value, { topic, partition, offset: offset.toString() });
    const beat = event === null ? null : heartbeatOf(event);
    if (beat !== null) heartbeats.note(beat);
  }
}
