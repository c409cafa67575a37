import {
  formatTableId,
  heartbeatOf,
  heartbeatTopic,
  topicName,
  type EventDecoder,
  type Heartbeat,
  type MessagePlace,
  type TableId,
} from '#change-events/index.ts';
import type { FetchedRun, FetchPlace, Kafka, KafkaAdmin } from '#kafka/index.ts';
import { describeError, pause, unlessAborted, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { loadHeard, placesToRead, saveHeard } from './heard.ts';
import { Heartbeats } from './heartbeats.ts';
import { moveFreshness, proofOf, type Proof } from './proof.ts';

export type FreshnessOptions = {
  readonly schema: string;
  readonly topicPrefix: string;
  /** The source tables of the mirrors. */
  readonly tables: readonly TableId[];
  /** How far the source's clock is known to be ahead. */
  readonly clockAheadMs: number;
  readonly decoder: EventDecoder;
  readonly kafka: Kafka;
  readonly admin: KafkaAdmin;
  readonly pool: Pool;
  readonly logger: Logger;
};

/** How often it is looked whether a heartbeat's time has been reached, and after an error. */
const lookEveryMs = 250;
const tryAgainMs = 2000;

/** How soon partitions that were added to the heartbeats' topic are noticed. */
const lookForPartitionsMs = 60_000;

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

/** Until `signal` is aborted, or the topic has other partitions than it had. Reads by places that the model keeps: a group would outlive a process that is killed. */
async function follow(options: FreshnessOptions, signal: AbortSignal): Promise<void> {
  const { schema, topicPrefix, tables, clockAheadMs, decoder, kafka, admin, pool, logger } = options;
  const topic = heartbeatTopic(topicPrefix);
  while (!(await admin.listTopics()).includes(topic)) {
    await pause(tryAgainMs, signal);
    if (signal.aborted) return;
  }
  const { heard, asOf } = await loadHeard(pool, schema, topic);
  const heartbeats = new Heartbeats({ tables: tables.map(formatTableId), clockAheadMs, heard });
  const places = new Map(await placesToRead(admin, topic, heard, tailOf(tables)));
  for (const [partition, offset] of places) heartbeats.readTo(partition, offset);
  await using reader = await kafka.reader({ topic });
  let proof: Proof | null = null;
  let known = asOf;
  for (let lookedAt = performance.now(); !signal.aborted; await pause(lookEveryMs, signal)) {
    const asked: readonly FetchPlace[] = [...places].map(([partition, from]) => ({ partition, from }));
    const fetched = await unlessAborted(reader.fetch(asked), signal);
    const runs = fetched.filter((run) => nextOf(run) !== places.get(run.partition));
    for (const run of runs) {
      await decoder.prepare(run.messages, signal);
      noteAll(heartbeats, topic, run, { decoder, logger, schema });
      places.set(run.partition, nextOf(run));
    }
    if (runs.length > 0) await saveHeard(pool, schema, topic, heartbeats.heard());
    // What has come since may say that it was too much.
    if (proof !== null && (heartbeats.provenTo(proof.tables) ?? 0) < proof.provenTo) proof = null;
    proof ??= await proofOf({ heartbeats, admin, pool, known }, await topicsOf(admin, topicPrefix, tables));
    if (proof !== null && (await moveFreshness(pool, schema, proof))) {
      known = proof.provenTo;
      proof = null;
    }
    if (performance.now() - lookedAt < lookForPartitionsMs) continue;
    if ((await admin.partitionsOf(topic)) !== places.size) return;
    lookedAt = performance.now();
  }
}

function nextOf({ nextOffset, unreadable }: FetchedRun): bigint {
  return unreadable?.nextOffset ?? nextOffset;
}

/** So many offsets at the end hold the last heartbeat of every table: each is a message and the marker of its transaction. */
function tailOf(tables: readonly TableId[]): bigint {
  return 1000n + 20n * BigInt(tables.length);
}

/** Those of the tables that have a topic, with it. */
async function topicsOf(admin: KafkaAdmin, prefix: string, tables: readonly TableId[]): Promise<ReadonlyMap<string, string>> {
  const existing = new Set(await admin.listTopics());
  return new Map(
    tables.map((table) => [formatTableId(table), topicName(prefix, table)] as const).filter(([, topic]) => existing.has(topic)),
  );
}

/** What is no heartbeat is passed over: nothing that a message says, nor a batch that cannot be read, may keep the freshness from the ones after it. */
function noteAll(
  heartbeats: Heartbeats,
  topic: string,
  run: FetchedRun,
  { decoder, logger, schema }: Pick<FreshnessOptions, 'decoder' | 'logger' | 'schema'>,
): void {
  const { partition, messages, unreadable: batch } = run;
  const before = heartbeats.passedOver;
  const readAt = Date.now();
  for (const { value, offset, timestamp } of messages) {
    // A tombstone is no heartbeat, and no junk.
    if (value !== null)
      heartbeats.note(readHeartbeat(decoder, value, { topic, partition, offset: offset.toString() }), { stampedAt: timestamp, readAt });
  }
  if (batch !== null) heartbeats.note(null, { stampedAt: -1, readAt });
  heartbeats.readTo(partition, nextOf(run));
  const { unreadable, ahead, aheadMs } = heartbeats.passedOver;
  if (unreadable > before.unreadable)
    logger.warn(
      { schema, topic, partition, unreadable, reason: batch?.error.message },
      'messages among the heartbeats are none: passed over',
    );
  if (ahead > before.ahead) {
    logger.warn({ schema, topic, partition, ahead, aheadMs }, 'heartbeats with a time in the future are ignored: they prove nothing');
  }
}

function readHeartbeat(decoder: EventDecoder, value: Buffer, place: MessagePlace): Heartbeat | null {
  try {
    const event = decoder.decodeChangeEvent(value, place);
    return event === null ? null : heartbeatOf(event);
  } catch {
    return null;
  }
}
