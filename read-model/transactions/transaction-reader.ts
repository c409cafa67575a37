import { setTimeout as delay } from 'node:timers/promises';
import { formatTableId } from '#change-events/index.ts';
import type { BatchControl, ConsumedBatch, ConsumedMessage, PassedOffsets, UnreadableBatch } from '#kafka/index.ts';
import type { PartitionBatch } from '../apply/partition-batch.ts';
import { qualified } from '../database.ts';
import { haltBefore } from '../faults/halt-reason.ts';
import { endsModel } from '../faults/classify.ts';
import { withHeartbeats } from '../consume/with-heartbeats.ts';
import { isAhead, retryAfterMs, type Assignment, type Reader } from '../consume/partition-reader.ts';
import { decode, noEvents, type MirrorContext } from '../apply/mirror-sink.ts';
import { nameOf, requireNothingLost } from '../apply/positions.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { unlessAborted } from '#pipeline/index.ts';
import { retrying } from '../retry.ts';
import { MismatchError } from '../mirrors/mismatch.ts';
import { watchTopicIds } from '../consume/topic-ids.ts';
import { watchForLosses } from './losses.ts';
import { readEnd } from './boundary.ts';
import { unreadableBatches, type UnreadableBatches } from '../consume/unreadable.ts';
import type { Taken } from './sequencer.ts';
import { openSession, type Holding, type Session } from './session.ts';

export type TransactionMirrorContext = MirrorContext & {
  /** The transaction topic, of one partition. */
  readonly boundaryTopic: string;
  /** Events that wait for the end of their transaction may take so many bytes; twice as many, when the next transaction needs them. */
  readonly bufferBytes: number;
  /** The position of a partition was moved by somebody else: to be assigned again. */
  readonly onStale: () => void;
};

const eventsPerTransaction = 10_000;
const turnDownMs = 20;
const nothing: Taken = { messages: new Map(), torn: [] };

/**
 * Reads all partitions of a model and gives the scheduler whole source transactions, in commit order. Positions of all partitions move with
 * them, so that what is stored is always between two transactions.
 */
export class TransactionReader implements Reader {
  readonly #context: TransactionMirrorContext;
  readonly #unreadable: UnreadableBatches;
  #session: Promise<Session> | undefined;
  #topicIds: Session['topicIds'] = new Map();
  #watching = false;
  /** One at a time is applied, in this order. */
  #draining: Promise<void> = Promise.resolve();
  /** What held nothing for us is passed, in its order; the next batch waits for it. */
  #moving: Promise<void> = Promise.resolve();

  constructor(context: TransactionMirrorContext) {
    this.#context = context;
    this.#unreadable = unreadableBatches(context);
  }

  onAssigned(assignment: Assignment): void {
    const { admin, signal, boundaryTopic, onStale, onFailure } = this.#context;
    const places = Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition })));
    const opened = openSession(this.#context, boundaryTopic, places);
    this.#session = opened;
    if (!this.#watching) {
      this.#watching = true;
      // To be assigned again reads the positions, and finds it.
      watchTopicIds(admin, async () => this.#topicIds, onStale, signal).catch(() => undefined);
    }
    opened
      .then((session) => {
        this.#topicIds = session.topicIds;
        return this.#watchForLosses(session);
      })
      .catch((error: unknown) => {
        if (!signal.aborted) onFailure(error);
      });
  }

  async onBatch(batch: ConsumedBatch, control: BatchControl): Promise<void> {
    const { signal } = this.#context;
    try {
      await withHeartbeats(control, (lost) => unlessAborted(this.#read(batch, control), AbortSignal.any([lost, signal])));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Nothing behind it can be put together: the model waits, and says why. */
  async onUnreadable(batch: UnreadableBatch, control: BatchControl): Promise<void> {
    const { signal } = this.#context;
    try {
      await this.#moving;
      const current = await this.#session;
      const holding = current?.holdings.get(nameOf(batch));
      if (current === undefined || holding === undefined || !control.isCurrent()) return;
      const readTo = this.#readToOf(current, holding);
      if (batch.offset < readTo || batch.fetchedFrom > readTo) return control.seek(readTo);
      const stored = await unlessAborted(this.#unreadable.halt(batch, holding.stored === readTo), signal);
      // Somebody has passed over it.
      if (stored !== null && stored > batch.offset) this.#context.onStale();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  onPassed(passed: PassedOffsets): void {
    const { signal, onFailure } = this.#context;
    this.#moving = this.#moving.then(() => this.#moveOn(passed));
    this.#moving.catch((error: unknown) => {
      if (!signal.aborted) onFailure(error);
    });
  }

  async #read(batch: ConsumedBatch, control: BatchControl): Promise<void> {
    const { admin, schema, mirrors, decoder, schemas, logger, boundaryTopic, bufferBytes } = this.#context;
    await this.#moving;
    const current = await this.#session;
    const name = nameOf(batch);
    const holding = current?.holdings.get(name);
    if (current === undefined || holding === undefined || !control.isCurrent()) return;
    const { sequencer } = current;
    const readTo = this.#readToOf(current, holding);
    const turnDown = (): void => control.seek(readTo);
    const messages = batch.messages.filter(({ offset }) => offset >= readTo);
    const [first] = messages;
    if (first === undefined) {
      if (batch.nextOffset < readTo) turnDown();
      return;
    }
    if (first.offset > readTo) {
      await requireNothingLost(admin, schema, batch, readTo);
      if (isAhead(batch, batch.fetchedFrom, readTo, logger)) return turnDown();
    }
    if (!(await schemas.ready(batch, messages))) {
      control.pause(retryAfterMs);
      return turnDown();
    }
    if (!control.isCurrent()) return;
    if (batch.topic === boundaryTopic) {
      for (const end of messages.map((message) => readEnd(decoder, message))) if (end !== null) sequencer.addEnd(end);
      current.boundary.readTo = batch.nextOffset;
    } else {
      if (sequencer.bytes() > bufferBytes && sequencer.lacking()?.has(formatTableId(mirrors.of(batch.topic).source)) !== true) {
        // Not what the next transaction waits for: it stays in Kafka for now.
        await delay(turnDownMs);
        return turnDown();
      }
      sequencer.add(name, messages, batch.nextOffset);
    }
    await this.#drain(current);
  }

  #readToOf({ sequencer, boundary }: Session, { topic, partition }: TopicPartition): bigint {
    return topic === this.#context.boundaryTopic ? boundary.readTo : sequencer.readTo(nameOf({ topic, partition }));
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#draining.then(work);
    this.#draining = turn.catch(() => undefined);
    return turn;
  }

  /** Applies whatever is complete by now. */
  #drain(current: Session): Promise<void> {
    const { bufferBytes } = this.#context;
    return this.#inTurn(async () => {
      const { sequencer } = current;
      for (let taken = sequencer.take(eventsPerTransaction); taken !== null; taken = sequencer.take(eventsPerTransaction)) {
        await this.#apply(current, taken);
      }
      await this.#apply(current, sequencer.bytes() > 2 * bufferBytes ? sequencer.takeTorn() : nothing);
    });
  }

  async #apply(current: Session, { messages, torn }: Taken): Promise<void> {
    const { schema, mirrors, onPoison, logger, signal } = this.#context;
    for (;;) {
      const batches: PartitionBatch[] = [];
      for (const [name, holding] of current.holdings) {
        const batch = await this.#toBatch(current, holding, messages.get(name) ?? []);
        if (batch.nextOffset > batch.expectedOffset) batches.push(batch);
      }
      const [first] = batches;
      if (first === undefined) return;
      const outcome = await this.#context.scheduler.submit(...batches).catch((error: unknown) => {
        throw signal.aborted || endsModel(error, onPoison) ? error : new MismatchError(haltBefore(first, first.expectedOffset, error));
      });
      if (outcome === 'stale') {
        logger.warn({ schema }, 'another consumer has taken partitions or moved their positions: reading them again');
        this.#context.onStale();
        // Nothing of this session may be applied any more.
        return new Promise(() => undefined);
      }
      if (typeof outcome === 'object') throw new MismatchError(outcome.halted);
      if (outcome === 'outdated') {
        await mirrors.reload();
        continue;
      }
      for (const { topic, partition, nextOffset } of batches) {
        const holding = current.holdings.get(nameOf({ topic, partition }));
        if (holding !== undefined) holding.stored = nextOffset;
      }
      if (torn.length > 0) await this.#reportTorn(torn);
      return;
    }
  }

  async #toBatch(current: Session, holding: Holding, messages: readonly ConsumedMessage[]): Promise<PartitionBatch> {
    const { schema, mirrors, logger, signal, boundaryTopic } = this.#context;
    const { topic, partition, stored: expectedOffset, epoch } = holding;
    const { sequencer, boundary } = current;
    const isBoundary = topic === boundaryTopic;
    const nextOffset = isBoundary ? (sequencer.firstEnd()?.offset ?? boundary.readTo) : sequencer.takenTo(nameOf({ topic, partition }));
    const none = isBoundary || messages.length === 0;
    if (none) {
      const events = noEvents(mirrors.of(isBoundary ? (mirrors.topics[0] ?? '') : topic));
      return { topic, partition, ...events, expectedOffset, epoch, nextOffset };
    }
    const { events, mismatch } = await retrying(`decoding for ${schema}`, logger, signal, () => decode(this.#context, holding, messages));
    // Transactions are whole over all tables: none can go on without the others.
    if (mismatch !== null) throw new MismatchError(mismatch);
    return { topic, partition, ...events, expectedOffset, epoch, nextOffset };
  }

  async #reportTorn(torn: readonly string[]): Promise<void> {
    const { schema, pool, logger } = this.#context;
    const last = torn.at(-1) ?? '';
    logger.warn({ schema, transactions: torn.length, last }, 'source transactions became visible in parts: see docs/read-model.md');
    // One that comes in many parts counts once.
    await pool
      .query(
        `UPDATE ${qualified(schema, 'model_version')}
            SET torn_transactions = torn_transactions + $1 - CASE WHEN last_torn = ANY ($3::text[]) THEN 1 ELSE 0 END, last_torn = $2`,
        [torn.length, last, torn],
      )
      .catch(() => undefined);
  }

  #watchForLosses(session: Session): Promise<void> {
    const { admin, mirrors, signal } = this.#context;
    return watchForLosses(session, {
      admin,
      mirrors,
      signal,
      isCurrent: async () => (await this.#session) === session,
      giveUp: async (collections, through) => {
        await this.#inTurn(() => this.#apply(session, session.sequencer.giveUp(collections, through)));
        await this.#drain(session);
      },
    });
  }

  /** Past control records and aborted events only: nothing to apply, but the position moves. */
  async #moveOn({ topic, partition, from, to: nextOffset }: PassedOffsets): Promise<void> {
    const { admin, schema, logger, boundaryTopic } = this.#context;
    const name = nameOf({ topic, partition });
    const current = await this.#session;
    const holding = current?.holdings.get(name);
    if (current === undefined || holding === undefined || nextOffset <= this.#readToOf(current, holding)) return;
    if (isAhead(holding, from, this.#readToOf(current, holding), logger)) return;
    await requireNothingLost(admin, schema, holding, this.#readToOf(current, holding));
    // A batch may have come meanwhile.
    if (nextOffset <= this.#readToOf(current, holding)) return;
    if (topic === boundaryTopic) current.boundary.readTo = nextOffset;
    else current.sequencer.add(name, [], nextOffset);
    await this.#drain(current);
  }
}
