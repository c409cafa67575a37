import type { EventDecoder } from '#change-events/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { CdcError, describeError, pause, type Logger } from '#pipeline/index.ts';
import {
  byteBudget,
  faultOf,
  movePositions,
  nameOf,
  openQueues,
  parkEvents,
  queryText,
  queuesOfKey,
  recordHalt,
  StalePositionError,
  toPoison,
  waitBefore,
  type EventSink,
  type ParkedPoison,
  type PositionMove,
} from '#read-model/engine/index.ts';
import type { PoolClient } from 'pg';
import { Poison } from '../changes/change.ts';
import { decodeChanges, type ReadMessage } from '../changes/decode-changes.ts';
import type { Delivered, MessageReader } from '../changes/message-reader.ts';
import { consumerWording } from '../wording.ts';
import { HandlerFailedError, inHandlerTransaction, type HandlerTransaction } from './handler-transaction.ts';
import { planBatch } from './plan-batch.ts';
import { afterFailure, afterPassing, afterSuccess, firstTry, type Tries, type TryPolicy } from './tries.ts';
import type { Troubles } from './troubles.ts';
import type { Lifetime } from '../lifetime.ts';
import type { HandlerContext } from '../options.ts';
import type { Tx } from './guard.ts';

export type SinkContext = Pick<HandlerTransaction, 'pool' | 'schema' | 'timeoutMs' | 'signal'> &
  TryPolicy & {
    readonly handle: (changes: readonly Delivered[], tx: Tx, call: HandlerContext) => Promise<void>;
    readonly decoder: EventDecoder;
    readonly readMessage: MessageReader;
    readonly parkedMax: number;
    readonly slices: { readonly bytes: number; readonly messages: number };
    /** Transactions at once. */
    readonly concurrency: number;
    readonly troubles: Troubles;
    /** Runs a transaction, unless the consumer ends. */
    readonly work: Lifetime['work'];
    readonly logger: Logger;
  };

/** Events go to the handler, in transactions of the service's database. */
export function handlerSink(context: SinkContext): EventSink<readonly ReadMessage[]> {
  const { readMessage, slices, concurrency, logger } = context;
  const slots = byteBudget(concurrency);
  return {
    decode: async (place, messages) => ({ events: await decodeChanges(readMessage, place, messages), mismatch: null }),
    none: () => [],
    submit: (move, messages) => submit(context, slots, move, messages),
    reload: () => Promise.resolve(),
    onCut: (cut) => {
      for (const { topic, partition, low } of cut)
        logger.warn(
          { topic, partition, low: String(low) },
          'the partition is begun past what Kafka has deleted: earlier events are not handed over',
        );
    },
    slices,
  };
}

/** Hands a batch over, part by part, until all of it is committed: however often that takes. */
async function submit(
  context: SinkContext,
  slots: ReturnType<typeof byteBudget>,
  move: PositionMove,
  messages: readonly ReadMessage[],
): Promise<'applied' | 'stale'> {
  const { troubles, signal } = context;
  const poisons = new Map<bigint, ParkedPoison>();
  let tries: Tries | null = firstTry(messages.length);
  let committedTo = move.expectedOffset;
  let passing = 0;
  while (tries !== null) {
    const now: Tries = tries;
    const release = await slots.take(1);
    const part: Part = { ...partOf(move, messages, committedTo, now), poisons, attempt: now.attempt };
    let waitMs: number;
    try {
      signal.throwIfAborted();
      await context.work(() => applyPart(context, part));
      committedTo = part.move.nextOffset;
      passing = 0;
      troubles.over(move);
      tries = afterSuccess(now);
      continue;
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof StalePositionError) return 'stale';
      const poison = poisonOf(error, move, messages);
      if (poison !== null) {
        poisons.set(poison.offset, poison.why);
        continue;
      }
      const cause = error instanceof HandlerFailedError ? error.cause : error;
      if (faultOf(cause) === 'passing') {
        passing += 1;
        ({ waitMs } = afterPassing(now, passing, context));
        if (passing > 1) await report(context, part, error, passing, waitMs);
      } else if (error instanceof HandlerFailedError) {
        const next = afterFailure(now, context);
        ({ waitMs } = next);
        await report(context, part, error, now.attempt, waitMs);
        const culprit = next.park === null ? undefined : messages[next.park];
        if (culprit !== undefined) poisons.set(culprit.message.offset, handlerPoison(error));
        tries = next.tries;
      } else throw error;
    } finally {
      release();
    }
    await pause(waitMs, signal);
  }
  return 'applied';
}

type Part = {
  readonly move: PositionMove;
  readonly messages: readonly ReadMessage[];
  readonly poisons: ReadonlyMap<bigint, ParkedPoison>;
  readonly attempt: number;
};

/** The part of a batch that is handed over next, with its move of the position. */
function partOf(
  move: PositionMove,
  messages: readonly ReadMessage[],
  committedTo: bigint,
  { from, to }: Tries,
): Pick<Part, 'move' | 'messages'> {
  const nextOffset = messages[to]?.message.offset ?? move.nextOffset;
  return { move: { ...move, expectedOffset: committedTo, nextOffset }, messages: messages.slice(from, to) };
}

async function applyPart(context: SinkContext, { move, messages, poisons, attempt }: Part): Promise<void> {
  const { schema, parkedMax, decoder, handle } = context;
  await inHandlerTransaction({ ...context, handle: (changes, tx, signal) => handle(changes, tx, { signal, attempt }) }, async (client) => {
    await movePositions(client, [move]);
    if (messages.length === 0) return [];
    const open = await openQueues(client, [move]);
    const known = await lastDeleted(client, move);
    const plan = planBatch(move, messages, { open, lastDeleted: known, poisons }, (key) => queuesOfKey(key, decoder));
    await parkEvents(client, schema, plan.parked, parkedMax, consumerWording);
    if (plan.lastDeleted !== known)
      await client.query('UPDATE applied_offsets SET last_deleted = $3 WHERE topic = $1 AND partition = $2', [
        move.topic,
        move.partition,
        plan.lastDeleted,
      ]);
    return plan.live;
  });
}

async function lastDeleted(client: PoolClient, { topic, partition }: TopicPartition): Promise<string | null> {
  const [row] = await queryText(client, 'SELECT last_deleted FROM applied_offsets WHERE topic = $1 AND partition = $2', [topic, partition]);
  return row?.[0] ?? null;
}

/** The change of this batch that the handler has called poison. */
function poisonOf(
  error: unknown,
  place: TopicPartition,
  messages: readonly ReadMessage[],
): { readonly offset: bigint; readonly why: ParkedPoison } | null {
  const poison = error instanceof HandlerFailedError ? error.cause : null;
  if (!(poison instanceof Poison) || nameOf(poison) !== nameOf(place)) return null;
  if (!messages.some(({ message }) => message.offset === poison.offset)) return null;
  return { offset: poison.offset, why: { code: 'CONSUMER_POISON', cause: describeError(poison) } };
}

export function handlerPoison(error: HandlerFailedError): ParkedPoison {
  const { code, cause } = toPoison(error.cause);
  const isOurs = error.cause instanceof CdcError && error.cause.code === 'CONSUMER_HANDLER_TIMEOUT';
  return { code: isOurs ? code : 'CONSUMER_HANDLER_FAILED', cause };
}

/** What keeps a partition from going on shows in the log, in this process's status, and in the database for every other one's. */
async function report(
  { pool, schema, troubles, logger }: SinkContext,
  { move }: Part,
  error: unknown,
  attempt: number,
  waitMs: number,
): Promise<void> {
  const { topic, partition, expectedOffset: offset } = move;
  const cause = describeError(error instanceof HandlerFailedError ? error.cause : error);
  const where = `topic ${topic}, partition ${partition}, from offset ${offset}`;
  const known =
    error instanceof HandlerFailedError
      ? error.cause instanceof CdcError
        ? error.cause
        : new CdcError('CONSUMER_HANDLER_FAILED', `the handler failed at ${where}: ${cause}`, { cause: error.cause })
      : waitBefore(move, offset, error, consumerWording).error;
  logger.warn(
    { topic, partition, offset: String(offset), attempt, nextTryInMs: waitMs, code: known.code, remedy: known.remedy, err: error },
    known.message,
  );
  if (!troubles.report(move, { offset, attempt, code: known.code, cause: known.message, waitMs })) return;
  // The database may be what is waited for.
  await recordHalt(pool, schema, { topic, partition, offset, error: known }).catch(() => undefined);
}
