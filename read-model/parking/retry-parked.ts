import { eventDecoder, type EventDecoder } from '#change-events/index.ts';
import { CdcError, describeError, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { TargetModel } from '../apply/write-changes.ts';
import { inTransaction, openPool } from '../database.ts';
import { decodeEvents } from '../decode/decode-batch.ts';
import { requireMigrated } from '../migrate.ts';
import { loadMirrors } from '../mirrors/mirror-catalogue.ts';
import { openMirrors, type Mirrors } from '../mirrors/mirrors.ts';
import { loadProjections } from '../views/stored-projections.ts';
import { readDatabaseConfig, requireModel, requireReadModel } from '../model-config.ts';
import { retrying } from '../retry.ts';
import { drainQueue } from './drain.ts';
import {
  eventsOfQueue,
  findParked,
  holdPartition,
  listParked,
  queuesOf,
  resolveEvents,
  type ParkedEvent,
  type ParkedFilter,
  type Queue,
} from './parked-events.ts';

/** What became of one queue: `stoppedBy` is the event that still fails, null when the key is live again. */
export type QueueRetry = Queue & { readonly applied: number; readonly stoppedBy: ParkedEvent | null };

/** The parked events of one model, for whoever decides about them. Works beside a running read model. */
export type ParkedEvents = AsyncDisposable & {
  /** Without values and headers: `show` has them. */
  list(filter: ParkedFilter): Promise<readonly ParkedEvent[]>;
  /** A key or value of an event that was listed or shown, for people: JSON text; hex where it cannot be read (its schema is not to be had). */
  textOf(bytes: Buffer | null): string | null;
  /** @throws CdcError READ_MODEL_PARKED_UNKNOWN */
  show(id: string): Promise<ParkedEvent>;
  /** Applies what waits, each queue in its order and in a transaction of its own, up to the first event that still fails. */
  retry(which: { readonly ids?: readonly string[] | undefined; readonly topic?: string | undefined }): Promise<readonly QueueRetry[]>;
  /** Gives events up: they stay listed, and will not be applied. @throws CdcError READ_MODEL_PARKED_UNKNOWN */
  discard(ids: readonly string[]): Promise<void>;
};

const listMost = 10_000;

/** @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_MODEL_NOT_MIGRATED */
export async function openParkedEvents(config: PipelineConfig, schema: string, logger: Logger, signal: AbortSignal): Promise<ParkedEvents> {
  const readModel = requireReadModel(config);
  const { topicPrefix, ignoreColumns } = requireModel(readModel, schema);
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  try {
    await requireMigrated(pool, schema);
  } catch (error) {
    await pool.end();
    throw error;
  }
  const decoder = eventDecoder(config.schemaRegistry);
  const mirrorsNow = async (): Promise<Mirrors> =>
    openMirrors(
      pool,
      topicPrefix,
      await inTransaction(pool, schema, (client) => loadMirrors(client, schema)),
      logger,
      signal,
      ignoreColumns,
    );
  /** What is parked can be shown without the registry too. */
  const prepare = async (events: readonly ParkedEvent[]): Promise<void> => {
    await decoder.prepare(events.map(({ message }) => message))?.catch((error: unknown) => logger.warn(describeError(error)));
  };
  return {
    async list(filter) {
      const events = await inTransaction(pool, schema, (client) => listParked(client, filter, listMost));
      await prepare(events);
      return events;
    },
    textOf: (bytes) => (bytes === null ? null : (decoder.text(bytes) ?? `\\x${bytes.toString('hex')}`)),
    async show(id) {
      const event = await inTransaction(pool, schema, (client) => findParked(client, id));
      if (event === undefined) throw unknown(schema, [id]);
      await prepare([event]);
      return event;
    },
    async retry(which) {
      const queues = await inTransaction(pool, schema, (client) => queuesOf(client, which));
      if (which.ids !== undefined && queues.length === 0) throw unknown(schema, which.ids);
      const mirrors = await mirrorsNow();
      const { projections } = await loadProjections(pool, schema);
      const model: TargetModel = { schema, projections, decoder };
      const results: QueueRetry[] = [];
      for (const queue of queues) {
        signal.throwIfAborted();
        await meetDemands(pool, schema, { decoder, mirrors, logger, signal }, queue);
        const drained = await retrying(`retrying ${queue.topic}/${queue.partition}`, logger, signal, () =>
          inTransaction(pool, schema, (client) => drainQueue(client, model, mirrors.of(queue.topic), queue)),
        );
        results.push({ ...queue, ...drained, stoppedBy: drained.stoppedBy === null ? null : withoutValue(drained.stoppedBy) });
      }
      return results;
    },
    async discard(ids) {
      const missing = await discardParked(pool, schema, ids);
      if (missing.length > 0) throw unknown(schema, missing);
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
    },
  };
}

/** Gives events up, all of them or, where one is not known, none. Gives the ids that are not known. */
export async function discardParked(pool: Pool, schema: string, ids: readonly string[]): Promise<readonly string[]> {
  return inTransaction(pool, schema, async (client) => {
    await client.query('LOCK TABLE applied_offsets IN ROW SHARE MODE');
    const events: ParkedEvent[] = [];
    for (const id of ids) events.push(...(await listParked(client, { id }, 1)));
    const missing = ids.filter((id) => !events.some((event) => event.id === id));
    if (missing.length > 0) return missing;
    for (const event of events) await holdPartition(client, event);
    await resolveEvents(client, ids, 'discarded');
    return [];
  });
}

/** The columns that events of the queue ask for are made before they are applied; page by page, as many events as may be in memory at once. */
async function meetDemands(
  pool: Pool,
  schema: string,
  {
    decoder,
    mirrors,
    logger,
    signal,
  }: { readonly decoder: EventDecoder; readonly mirrors: Mirrors; readonly logger: Logger; readonly signal: AbortSignal },
  queue: Queue,
): Promise<void> {
  for (let behind = -1n; ;) {
    const events = await inTransaction(pool, schema, (client) => eventsOfQueue(client, queue, behind));
    const last = events.at(-1);
    if (last === undefined) return;
    const messages = events.map(({ message }) => message);
    await decoder.prepare(messages);
    for (;;) {
      const mirror = mirrors.of(queue.topic);
      const { demands } = decodeEvents(decoder, mirror, queue, messages);
      if (demands.length === 0) break;
      await retrying(`following the source of ${mirror.table}`, logger, signal, () => mirrors.follow(mirror, demands));
    }
    behind = last.message.offset;
  }
}

/** One of each queue is reported: thousands of values at once are too many to read. */
function withoutValue({ message, ...event }: ParkedEvent): ParkedEvent {
  const { offset, key, timestamp } = message;
  return { ...event, message: { offset, key, timestamp, value: null, headers: {} } };
}

function unknown(schema: string, ids: readonly string[]): CdcError {
  return new CdcError('READ_MODEL_PARKED_UNKNOWN', `read model ${schema} has no parked event ${ids.join(', ')}`);
}
