import type { EventDecoder } from '#change-events/index.ts';
import { CdcError, type Logger } from '#pipeline/index.ts';
import {
  discardParked,
  eventsOfQueue,
  faultOf,
  findParked,
  holdPartition,
  inTransaction,
  listParked,
  queuesOf,
  resolveEvents,
  restateCause,
  retrying,
  toPoison,
  type ParkedEvent,
  type ParkedPoison,
  type Queue,
} from '#read-model/engine/index.ts';
import type { Pool } from 'pg';
import type { Tx } from './apply/guard.ts';
import { handlerPoison } from './apply/handler-sink.ts';
import type { HandlerContext } from './options.ts';
import { HandlerFailedError, inHandlerTransaction } from './apply/handler-transaction.ts';
import { Poison } from './changes/change.ts';
import { decodeOne } from './changes/decode-changes.ts';
import type { Delivered, MessageReader } from './changes/message-reader.ts';
import type { Parked, ParkedChange, ParkedRetry } from './consumer.ts';

export type ParkedContext = {
  readonly pool: Pool;
  readonly schema: string;
  readonly decoder: EventDecoder;
  readonly readMessage: MessageReader;
  readonly timeoutMs: number;
  readonly handle: (changes: readonly Delivered[], tx: Tx, call: HandlerContext) => Promise<void>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

const listMost = 10_000;

/** What needs no handler. */
export type ParkedStore = Omit<Parked, 'retry'>;

/** The parked changes of a consumer's schema. Works beside any number of running consumers: the database decides the order. */
export function parkedStore(context: Pick<ParkedContext, 'pool' | 'schema' | 'decoder' | 'logger' | 'signal'>): ParkedStore {
  const { pool, schema, decoder, logger } = context;
  const toChange = (event: ParkedEvent): ParkedChange => shown(event, decoder);
  /** What is parked can be shown without the registry too. */
  const prepare = async (events: readonly ParkedEvent[]): Promise<void> => {
    await decoder
      .prepare(events.map(({ message }) => message))
      ?.catch((error: unknown) => logger.warn({ err: error }, 'schemas are not to be had'));
  };
  return {
    async list({ topic, all } = {}) {
      const events = await inTransaction(pool, schema, (client) => listParked(client, { topic, all }, listMost));
      await prepare(events);
      return events.map(toChange);
    },
    async show(id) {
      const event = await inTransaction(pool, schema, (client) => findParked(client, asId(id)));
      if (event === undefined) throw unknown(schema, [id]);
      await prepare([event]);
      return { ...toChange(event), value: textOf(event.message.value, decoder) };
    },
    async discard(ids) {
      const missing = await discardParked(pool, schema, ids.map(asId));
      if (missing.length > 0) throw unknown(schema, missing);
      logger.info({ schema, ids }, 'parked changes are given up');
    },
  };
}

/** {@link parkedStore} of a consumer, whose handler can be asked again. */
export function parkedChanges(context: ParkedContext): Parked {
  const { pool, schema, decoder, signal } = context;
  return {
    ...parkedStore(context),
    async retry({ ids, topic } = {}) {
      const queues = await inTransaction(pool, schema, (client) => queuesOf(client, { ids: ids?.map(asId), topic }));
      if (ids !== undefined && queues.length === 0) throw unknown(schema, ids);
      const results: ParkedRetry[] = [];
      for (const queue of queues) {
        signal.throwIfAborted();
        const { applied, stoppedBy } = await drain(context, queue);
        results.push({
          topic: queue.topic,
          partition: queue.partition,
          applied,
          stoppedBy: stoppedBy === null ? null : shown(stoppedBy, decoder),
        });
      }
      return results;
    },
  };
}

function textOf(bytes: Buffer | null, decoder: EventDecoder): string | null {
  return bytes === null ? null : (decoder.text(bytes) ?? `\\x${bytes.toString('hex')}`);
}

function shown({ id, topic, partition, message, state, code, cause, parkedAt }: ParkedEvent, decoder: EventDecoder): ParkedChange {
  return { id, topic, partition, offset: message.offset, key: textOf(message.key, decoder), state, code, cause, parkedAt };
}

/** Hands the changes of one key over, each in a transaction of its own, up to the first that still fails. Live ones of the key wait behind them. */
async function drain(context: ParkedContext, queue: Queue): Promise<{ readonly applied: number; readonly stoppedBy: ParkedEvent | null }> {
  const { pool, schema, logger, signal } = context;
  for (let applied = 0; ; applied += 1) {
    const step = await retrying(`retrying ${queue.topic}/${queue.partition}`, logger, signal, () => applyNext(context, queue));
    if (step === null) return { applied, stoppedBy: null };
    const { event, why } = step;
    if (why === null) continue;
    await inTransaction(pool, schema, (client) => restateCause(client, event.id, why));
    return { applied, stoppedBy: { ...event, ...why } };
  }
}

/** Null when nothing waits any more. `why` the event still fails; null when it is handled. */
async function applyNext(
  context: ParkedContext,
  queue: Queue,
): Promise<{ readonly event: ParkedEvent; readonly why: ParkedPoison | null } | null> {
  const { decoder, readMessage, handle } = context;
  let event: ParkedEvent | undefined;
  try {
    await inHandlerTransaction(
      { ...context, handle: (changes, tx, until) => handle(changes, tx, { signal: until, attempt: 1 }) },
      async (client) => {
        await holdPartition(client, queue);
        [event] = await eventsOfQueue(client, queue);
        if (event === undefined) return [];
        await decoder.prepare([event.message]);
        const { change } = decodeOne(readMessage, queue, event.message);
        if ('code' in change) throw new StillPoisonError(change);
        // Before the handler: a COMMIT inside it is refused by this.
        await resolveEvents(client, [event.id], 'applied');
        return [change];
      },
    );
    return event === undefined ? null : { event, why: null };
  } catch (error) {
    if (event !== undefined && error instanceof StillPoisonError) return { event, why: error.why };
    if (event === undefined || !(error instanceof HandlerFailedError)) throw error;
    const { cause } = error;
    if (faultOf(cause) === 'passing') throw cause;
    return { event, why: cause instanceof Poison ? { ...toPoison(cause), code: 'CONSUMER_POISON' } : handlerPoison(error) };
  }
}

/** It cannot be decoded still. */
class StillPoisonError extends Error {
  override readonly name = 'StillPoisonError';
  readonly why: ParkedPoison;

  constructor(why: ParkedPoison) {
    super(why.cause);
    this.why = why;
  }
}

function asId(id: string): string {
  return /^\d{1,18}$/.test(id) ? id : '-1';
}

function unknown(schema: string, ids: readonly string[]): CdcError {
  return new CdcError('CONSUMER_PARKED_UNKNOWN', `schema ${schema} has no parked change ${ids.join(', ')}`);
}
