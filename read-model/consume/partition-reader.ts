import type {
  BatchControl,
  ConsumedBatch,
  ConsumedMessage,
  ConsumerOptions,
  KafkaAdmin,
  PassedOffsets,
  UnreadableBatch,
} from '#kafka/index.ts';
import { CdcError, describeError, unlessAborted, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { TopicPartition } from '#kafka/port.ts';
import type { ApplyOutcome } from '../apply/batch-scheduler.ts';
import type { PositionMove } from '../apply/partition-batch.ts';
import type { CutPartition } from './beginnings.ts';
import { byteBudget, type ByteBudget } from './byte-budget.ts';
import { sliceBatch, type SliceBounds } from '../decode/decode-batch.ts';
import { withHeartbeats } from './with-heartbeats.ts';
import { endsModel, faultOf } from '../faults/classify.ts';
import { haltBefore, waitBefore } from '../faults/halt-reason.ts';
import type { Wording } from '../faults/wording.ts';
import { createHoldings, type Holding, type Holdings } from './holdings.ts';
import { requireNothingLost } from '../apply/positions.ts';
import type { SchemaWaits } from './schema-waits.ts';
import { createHalts, type Halts } from '../faults/halts.ts';
import { createWaits, type Waits } from './waits.ts';
import { unreadableBatches, type UnreadableBatches } from './unreadable.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';

/** What a model gives its consumer. */
export type Reader = Required<Pick<ConsumerOptions, 'onBatch' | 'onUnreadable' | 'onAssigned' | 'onPassed'>>;

export type Assignment = Parameters<Reader['onAssigned']>[0];

/** What a member of the group goes by. */
export type ReaderContext = {
  readonly schema: string;
  /** Of the projections that views are kept by. */
  readonly fingerprint: string;
  readonly pool: Pool;
  readonly admin: KafkaAdmin;
  readonly schemas: SchemaWaits;
  /** What an event that cannot be applied does to the model. */
  readonly onPoison: 'park' | 'stop';
  readonly wording?: Wording | undefined;
  /** While one partition halts before an event, the others of its topic pause too. Default: yes, a mirror is of them all. */
  readonly haltsTogether?: boolean | undefined;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called with the error that ends the whole model. */
  readonly onFailure: (error: unknown) => void;
};

/** What becomes of the events of a partition, whose place the reader keeps: a read model's mirrors, or a service's handler. */
export type EventSink<Events> = {
  /** Decodes messages, whose schemas are there, up to the first that the partition must halt before. */
  decode(
    place: TopicPartition,
    messages: readonly ConsumedMessage[],
  ): Promise<{ readonly events: Events; readonly mismatch: Mismatch | null }>;
  /** Of a batch that only moves a position. */
  none(topic: string): Events;
  /** Moves the position and does what the events ask, both or neither. Called once at a time for each partition. */
  submit(move: PositionMove, events: Events): Promise<ApplyOutcome>;
  /** Somebody else may have changed what events are decoded by. */
  reload(): Promise<void>;
  /** Hears of partitions that are begun past what Kafka has deleted. */
  onCut(cut: readonly CutPartition[]): void;
  readonly slices?: SliceBounds | undefined;
};

/** How long a table that halts, or a partition that waits for a schema, pauses before it is tried again. */
export const retryAfterMs = 1000;

/** Bytes of messages that are decoded and not yet applied, over all partitions of a model. */
const decodedBytes = 32 * 2 ** 20;

/**
 * Reads the partitions that the group assigns to this member: places each at the offset that the database has stored, gives every batch to
 * the scheduler from there, and lets go of a partition whose position somebody else has moved. No state here decides what is applied; the
 * database's compare-and-set does.
 *
 * While a slice of a partition is applied the next one is fetched and decoded: onBatch resolves when its last slice is submitted. What is
 * decoded ahead is bounded by bytes.
 *
 * Whatever is thrown while events are read, followed and applied ends here: what passes is tried again, everything else makes the
 * partition halt before the event, until it can go on. Only what concerns the whole model, or Kafka, goes further.
 */
export class PartitionReader<Events> implements Reader {
  readonly #context: ReaderContext;
  readonly #sink: EventSink<Events>;
  readonly #unreadable: UnreadableBatches;
  readonly #decoded: ByteBudget;
  readonly #halts: Halts;
  readonly #waits: Waits;
  readonly #holdings: Holdings;

  constructor(context: ReaderContext, sink: EventSink<Events>) {
    const { pool, schema, logger, signal } = context;
    this.#context = context;
    this.#sink = sink;
    this.#unreadable = unreadableBatches(context);
    this.#decoded = byteBudget(decodedBytes);
    this.#halts = createHalts(pool, schema, logger, signal);
    this.#waits = createWaits(pool, schema, logger);
    this.#holdings = createHoldings({ ...context, onCut: (cut) => sink.onCut(cut), halts: this.#halts });
  }

  onAssigned(assignment: Assignment): void {
    this.#holdings.assign(
      Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition }))),
    );
  }

  async onBatch(batch: ConsumedBatch, control: BatchControl): Promise<void> {
    try {
      await withHeartbeats(control, (lost) => unlessAborted(this.#readOrHalt(batch, control), lost));
    } catch (error) {
      if (!this.#context.signal.aborted) throw error;
    }
  }

  async onUnreadable(batch: UnreadableBatch, control: BatchControl): Promise<void> {
    try {
      await withHeartbeats(control, (lost) => unlessAborted(this.#haltBeforeBatch(batch, control), lost));
    } catch (error) {
      if (!this.#context.signal.aborted) throw error;
    }
  }

  onPassed(passed: PassedOffsets): void {
    const { signal, onPoison, onFailure, logger } = this.#context;
    if (signal.aborted) return;
    this.#holdings
      .known(passed)
      .then((holding) => {
        if (holding === undefined) return undefined;
        holding.moving = holding.moving.then(() => this.#moveOn(passed, holding));
        return holding.moving;
      })
      .catch((error: unknown) => {
        if (signal.aborted) return;
        if (faultOf(error) === 'kafka' || endsModel(error, onPoison)) return onFailure(error);
        // The next batch meets the same error, and knows its place.
        logger.warn(
          { ...passed, from: String(passed.from), to: String(passed.to), reason: describeError(error) },
          'a position was not moved on',
        );
      });
  }

  /** {@link read}, whatever it meets. */
  async #readOrHalt(batch: ConsumedBatch, control: BatchControl): Promise<void> {
    const { signal, onPoison, onFailure, wording } = this.#context;
    try {
      await this.#read(batch, control);
      this.#waits.over(batch);
    } catch (error) {
      const fault = faultOf(error);
      if (signal.aborted || fault === 'kafka') throw error;
      if (endsModel(error, onPoison)) return onFailure(error);
      const holding = await this.#holdings.known(batch);
      const offset = holding?.submittedTo ?? batch.fetchedFrom;
      if (fault === 'passing') {
        await this.#waits.wait(
          error instanceof CdcError ? haltBefore(batch, offset, error, wording) : waitBefore(batch, offset, error, wording),
        );
      } else await this.#halts.halt(haltBefore(batch, offset, error, wording));
      control.pause(retryAfterMs);
      control.seek(offset);
    }
  }

  /** Submits the part of `batch` that the partition has not submitted yet. */
  async #read(batch: ConsumedBatch, control: BatchControl): Promise<void> {
    const { admin, schema, schemas, wording, logger } = this.#context;
    const sink = this.#sink;
    const { topic, partition } = batch;
    const place = { topic, partition };
    const held = this.#holdings.of(place);
    const holding = await held;
    await holding.moving;
    if (!control.isCurrent()) return;
    if (!this.#holdings.isHeld(place, held)) return this.#read(batch, control);
    if (holding.refused !== null) {
      await this.#halts.halt(holding.refused);
      // The cause may be gone: the partition is claimed again.
      this.#holdings.letGo(place, held);
      control.pause(retryAfterMs);
      return control.seek(batch.fetchedFrom);
    }
    const turnDown = (): void => control.seek(holding.submittedTo);
    // Most batches begin there.
    const isWhole = (batch.messages[0]?.offset ?? 0n) >= holding.submittedTo;
    const messages = isWhole ? batch.messages : batch.messages.filter(({ offset }) => offset >= holding.submittedTo);
    const [first] = messages;
    if (first === undefined) {
      if (batch.nextOffset < holding.submittedTo) turnDown();
      return;
    }
    if (first.offset > holding.submittedTo) {
      await requireNothingLost(admin, schema, batch, holding.submittedTo, wording);
      if (isAhead(batch, batch.fetchedFrom, holding.submittedTo, logger)) return turnDown();
    }
    const halted = this.#halts.of(batch);
    if (halted === 'table' && this.#context.haltsTogether !== false) {
      await this.#halts.load();
      control.pause(retryAfterMs);
      return turnDown();
    }
    // Its mirror may have been fixed.
    if (halted === 'self') await sink.reload();
    let next = holding.submittedTo;
    for (const slice of sliceBatch(messages, batch.nextOffset, sink.slices)) {
      if (!(await schemas.ready(batch, slice.messages))) {
        control.pause(retryAfterMs);
        return turnDown();
      }
      const release = await this.#decoded.take(slice.bytes);
      try {
        const { events, mismatch } = await sink.decode(batch, slice.messages);
        // What comes before it in the partition must be applied first. When it is not, the partition is read again from there.
        if ((await holding.last) !== 'applied' || holding.submittedTo !== next || !control.isCurrent()) return release();
        next = mismatch?.offset ?? slice.nextOffset;
        if (next > holding.submittedTo) {
          const isHeld = (): boolean => this.#holdings.isHeld(place, held);
          holding.last = this.#submit({ place: batch, holding, isHeld, control, nextOffset: next, events }).finally(release);
        } else release();
        if (mismatch === null) continue;
        if ((await holding.last) === 'applied' && holding.submittedTo === next && control.isCurrent()) await this.#halt(mismatch, control);
        return;
      } catch (error) {
        release();
        throw error;
      }
    }
  }

  /** Never rejects: what it meets is dealt with here, since onBatch may be over by then. */
  async #submit(submission: Submission<Events>): Promise<ApplyOutcome | 'failed'> {
    const { wording, logger, signal, onPoison, onFailure } = this.#context;
    const { place, holding, isHeld, control, nextOffset, events } = submission;
    const { topic, partition } = place;
    const { submittedTo: expectedOffset, epoch } = holding;
    holding.submittedTo = nextOffset;
    try {
      const outcome = await this.#sink.submit({ topic, partition, expectedOffset, epoch, nextOffset }, events);
      if (outcome === 'applied') {
        holding.appliedTo = nextOffset;
        this.#halts.passed(place);
        return outcome;
      }
      if (typeof outcome === 'object') {
        holding.appliedTo = holding.submittedTo = outcome.halted.offset;
        holding.last = Promise.resolve('applied');
        if (isHeld()) await this.#halt(outcome.halted, control);
        return outcome;
      }
      // Another process has changed a mirror, or halts at an event of this table: read both again before the batch comes again.
      if (outcome === 'outdated') {
        await this.#sink.reload();
        await this.#halts.load();
      }
      if (!isHeld()) return outcome;
      if (outcome === 'stale') {
        logger.warn({ topic, partition }, 'another consumer has taken the partition or moved its position: reading it again');
        // If the partition is still this member's, the batch comes again, and claims it again.
        this.#holdings.letGo(place);
      } else {
        holding.submittedTo = holding.appliedTo;
        holding.last = Promise.resolve('applied');
      }
      control.seek(holding.appliedTo);
      return outcome;
    } catch (error) {
      if (signal.aborted) return 'failed';
      if (faultOf(error) === 'kafka' || endsModel(error, onPoison)) {
        onFailure(error);
        return 'failed';
      }
      // Nothing of it was applied.
      holding.submittedTo = holding.appliedTo;
      holding.last = Promise.resolve('applied');
      if (isHeld()) await this.#halt(haltBefore(place, holding.appliedTo, error, wording), control);
      return 'failed';
    }
  }

  /** The partition halts before an event that its mirror cannot take, until the mirror can. */
  async #halt(mismatch: Mismatch, control: BatchControl): Promise<void> {
    await this.#halts.halt(mismatch);
    control.pause(retryAfterMs);
    control.seek(mismatch.offset);
  }

  /** The partition halts before a batch that cannot be read, once all before it is applied, until somebody skips it. */
  async #haltBeforeBatch(batch: UnreadableBatch, control: BatchControl): Promise<void> {
    const { logger } = this.#context;
    const held = this.#holdings.of(batch);
    const holding = await held;
    await holding.moving;
    if (!control.isCurrent()) return;
    if (holding.refused !== null) {
      await this.#halts.halt(holding.refused);
      return this.#holdings.letGo(batch, held);
    }
    if ((await holding.last) !== 'applied' || batch.offset < holding.submittedTo || batch.fetchedFrom > holding.submittedTo) {
      return control.seek(holding.submittedTo);
    }
    const stored = await this.#unreadable.halt(batch, true);
    if (!control.isCurrent() || stored === null || stored === holding.appliedTo || !this.#holdings.isHeld(batch, held)) return;
    logger.info(
      { topic: batch.topic, partition: batch.partition, nextOffset: String(stored) },
      'somebody has moved the position: going on there',
    );
    this.#holdings.letGo(batch, held);
    control.seek(stored);
  }

  /** Stores that Kafka has nothing for us before `to`: unless it was asked for behind what is applied, after a batch that comes again. */
  async #moveOn({ topic, partition, from, to: nextOffset }: PassedOffsets, holding: Holding): Promise<void> {
    const { admin, schema, wording, logger } = this.#context;
    if (holding.refused !== null || (await holding.last) !== 'applied' || nextOffset <= holding.submittedTo) return;
    const place = { topic, partition };
    if (isAhead(place, from, holding.submittedTo, logger)) return;
    await requireNothingLost(admin, schema, place, holding.submittedTo, wording);
    const { submittedTo: expectedOffset, epoch } = holding;
    const outcome = await this.#sink.submit({ ...place, expectedOffset, epoch, nextOffset }, this.#sink.none(topic));
    if (outcome !== 'applied') this.#holdings.letGo(place);
    else holding.appliedTo = holding.submittedTo = nextOffset;
  }
}

type Submission<Events> = {
  readonly place: { readonly topic: string; readonly partition: number };
  readonly holding: Holding;
  /** Whether the holding is still what this member goes by. */
  readonly isHeld: () => boolean;
  readonly control: BatchControl;
  readonly nextOffset: bigint;
  readonly events: Events;
};

/** Whether Kafka was asked behind `wanted`, so that events may lie in between: a gap not of the log, but of the client's. */
export function isAhead(
  { topic, partition }: { readonly topic: string; readonly partition: number },
  fetchedFrom: bigint,
  wanted: bigint,
  logger: Logger,
): boolean {
  if (fetchedFrom <= wanted) return false;
  const place = { topic, partition, fetchedFrom: String(fetchedFrom), wanted: String(wanted) };
  logger.warn(place, 'Kafka was read past what is applied: reading it again');
  return true;
}
