import type { EventDecoder } from '#change-events/index.ts';
import type { BatchControl, ConsumedBatch, ConsumedMessage, ConsumerOptions, KafkaAdmin, PassedOffsets } from '#kafka/index.ts';
import type { Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { Applier, ApplyOutcome } from './applier.ts';
import { byteBudget } from './byte-budget.ts';
import { decodeInTurns, type Decoded, type DecodedEvents } from './decode-batch.ts';
import type { Mirror } from './mirror.ts';
import type { Mirrors } from './mirrors.ts';
import { claimPartitions, requireNothingLost, type Position } from './positions.ts';
import { retrying, unlessAborted } from './retry.ts';
import type { SchemaWaits } from './schema/schema-waits.ts';
import { createHalts } from './schema/halts.ts';
import type { Mismatch } from './schema/mismatch.ts';
import { sliceBatch } from './slices.ts';

/** What this member knows of a partition that it holds. */
type Holding = {
  /** Everything before it is in the database. */
  appliedTo: bigint;
  /** Everything before it is at least with the applier; what is submitted next expects the database to stand here by then. */
  submittedTo: bigint;
  readonly epoch: bigint;
  /** How what was submitted last ended. One submission of a partition is on its way at a time. */
  last: Promise<ApplyOutcome | 'failed'>;
  /** What held nothing for us is passed; the next batch waits for it. */
  moving: Promise<void>;
};

export type ReaderContext = {
  readonly schema: string;
  readonly pool: Pool;
  readonly admin: KafkaAdmin;
  readonly applier: Applier;
  readonly mirrors: Mirrors;
  readonly decoder: EventDecoder;
  readonly schemas: SchemaWaits;
  /** What an event that cannot be applied does to the model. */
  readonly onPoison: 'park' | 'stop';
  /** What an event that shows another table than its mirror's does. */
  readonly mismatches: 'halt' | 'park';
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Told what makes it impossible to go on, when no call of onBatch is there to throw it. */
  readonly onFailure: (error: unknown) => void;
};

const heartbeatEveryMs = 1000;

/** How long a table that stands still, or a partition that waits for a schema, rests before it is tried again. */
export const restMs = 1000;

/** Bytes of messages that are decoded and not yet applied, over all partitions of a model. */
const decodedBytes = 32 * 2 ** 20;

/**
 * Reads the partitions that the group assigns to this member: places each at the offset that the database has stored, gives every batch to
 * the applier from there, and lets go of a partition whose position somebody else has moved. No state here decides what is applied; the
 * database's compare-and-set does.
 *
 * While a slice of a partition is applied the next one is fetched and decoded: onBatch resolves when its last slice is submitted. What is
 * decoded ahead is bounded by bytes.
 */
export function partitionReader(context: ReaderContext): Pick<ConsumerOptions, 'onBatch' | 'onAssigned' | 'onPassed'> {
  const { schema, pool, admin, applier, mirrors, schemas, logger, signal, onFailure } = context;
  const holdings = new Map<string, Promise<Holding>>();
  const decoded = byteBudget(decodedBytes);
  const halts = createHalts(pool, schema, logger, signal);

  const claim = (places: readonly { readonly topic: string; readonly partition: number }[]): void => {
    if (places.length === 0) return;
    const claimed = retrying(`claiming partitions for ${schema}`, logger, signal, async () => {
      await halts.load();
      return claimPartitions(pool, schema, admin, places);
    });
    claimed.catch(onFailure);
    for (const place of places) {
      const holding = claimed.then((positions) => toHolding(positions, place));
      holding.catch(() => undefined);
      holdings.set(nameOf(place), holding);
    }
  };

  /** Submits what `batch` has from where the partition stands. */
  const read = async (batch: ConsumedBatch, control: BatchControl): Promise<void> => {
    const { topic, partition } = batch;
    const place = nameOf(batch);
    if (!holdings.has(place)) claim([{ topic, partition }]);
    const held = holdings.get(place);
    const holding = await held;
    await holding?.moving;
    if (holding === undefined || !control.isCurrent()) return;
    if (holdings.get(place) !== held) return read(batch, control);
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
      await requireNothingLost(admin, batch, holding.submittedTo);
      if (isAhead(batch, batch.fetchedFrom, holding.submittedTo, logger)) return turnDown();
    }
    const halted = halts.of(batch);
    if (halted === 'table') {
      await halts.load();
      control.rest(restMs);
      return turnDown();
    }
    // Its mirror may have been mended.
    if (halted === 'self') await mirrors.reload();
    let next = holding.submittedTo;
    for (const slice of sliceBatch(messages, batch.nextOffset)) {
      if (!(await schemas.ready(batch, slice.messages))) {
        control.rest(restMs);
        return turnDown();
      }
      const release = await decoded.take(slice.bytes);
      try {
        const { events, mismatch } = await decode(context, batch, slice.messages);
        // What comes before it in the partition must be applied first. When it is not, the partition is read again from there.
        if ((await holding.last) !== 'applied' || holding.submittedTo !== next || !control.isCurrent()) return release();
        next = mismatch?.offset ?? slice.nextOffset;
        if (next > holding.submittedTo) {
          const isHeld = (): boolean => holdings.get(place) === held;
          holding.last = submit({ place: batch, holding, isHeld, control, nextOffset: next, events }).finally(release);
        } else release();
        if (mismatch === null) continue;
        if ((await holding.last) === 'applied' && holding.submittedTo === next && control.isCurrent()) await stand(mismatch, control);
        return;
      } catch (error) {
        release();
        throw error;
      }
    }
  };

  /** The partition stands before an event that its mirror cannot take, until the mirror can. */
  const stand = async (mismatch: Mismatch, control: BatchControl): Promise<void> => {
    await halts.halt(mismatch);
    control.rest(restMs);
    control.seek(mismatch.offset);
  };

  /** Never rejects: what it meets is dealt with here, since onBatch may be over by then. */
  const submit = async (submission: Submission): Promise<ApplyOutcome | 'failed'> => {
    const { place, holding, isHeld, control, nextOffset, events } = submission;
    const { topic, partition } = place;
    const { submittedTo: expectedOffset, epoch } = holding;
    holding.submittedTo = nextOffset;
    try {
      const outcome = await applier.submit({ topic, partition, ...events, expectedOffset, epoch, nextOffset });
      if (outcome === 'applied') {
        holding.appliedTo = nextOffset;
        halts.passed(place);
        return outcome;
      }
      if (typeof outcome === 'object') {
        holding.appliedTo = holding.submittedTo = outcome.halted.offset;
        holding.last = Promise.resolve('applied');
        if (isHeld()) await stand(outcome.halted, control);
        return outcome;
      }
      // Another process has changed a mirror, or stands before an event of this table: the batch comes again and is seen in that light.
      if (outcome === 'outdated') {
        await mirrors.reload();
        await halts.load();
      }
      if (!isHeld()) return outcome;
      if (outcome === 'stale') {
        logger.warn({ topic, partition }, 'another consumer has taken the partition or moved its position: reading it again');
        // If the partition is still this member's, the batch comes again, and claims it anew.
        holdings.delete(nameOf(place));
      } else {
        holding.submittedTo = holding.appliedTo;
        holding.last = Promise.resolve('applied');
      }
      control.seek(holding.appliedTo);
      return outcome;
    } catch (error) {
      if (!signal.aborted) onFailure(error);
      return 'failed';
    }
  };

  return {
    onAssigned(assignment) {
      holdings.clear();
      claim(Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition }))));
    },
    async onBatch(batch, control) {
      try {
        await withHeartbeats(control, (lost) => unlessAborted(read(batch, control), lost));
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    onPassed(passed) {
      if (signal.aborted) return;
      holdings
        .get(nameOf(passed))
        ?.then((holding) => {
          holding.moving = holding.moving.then(() => moveOn(passed, holding));
          return holding.moving;
        })
        .catch(onFailure);
    },
  };

  /** Stores that Kafka has nothing for us before `to`: unless it was asked for behind what is applied, after a batch that comes again. */
  async function moveOn({ topic, partition, from, to: nextOffset }: PassedOffsets, holding: Holding): Promise<void> {
    if ((await holding.last) !== 'applied' || nextOffset <= holding.submittedTo) return;
    const place = { topic, partition };
    if (isAhead(place, from, holding.submittedTo, logger)) return;
    await requireNothingLost(admin, place, holding.submittedTo);
    const { submittedTo: expectedOffset, epoch } = holding;
    const outcome = await applier.submit({ ...place, ...noEvents(mirrors.of(topic)), expectedOffset, epoch, nextOffset });
    if (outcome !== 'applied') holdings.delete(nameOf(place));
    else holding.appliedTo = holding.submittedTo = nextOffset;
  }
}

type Submission = {
  readonly place: { readonly topic: string; readonly partition: number };
  readonly holding: Holding;
  /** Whether the holding is still what this member goes by. */
  readonly isHeld: () => boolean;
  readonly control: BatchControl;
  readonly nextOffset: bigint;
  readonly events: DecodedEvents;
};

function toHolding(positions: readonly Position[], { topic, partition }: { readonly topic: string; readonly partition: number }): Holding {
  const position = positions.find((candidate) => candidate.topic === topic && candidate.partition === partition);
  if (position === undefined) throw new TypeError(`partition ${topic}/${partition} was not claimed`);
  const { nextOffset, epoch } = position;
  return { appliedTo: nextOffset, submittedTo: nextOffset, epoch, last: Promise.resolve('applied'), moving: Promise.resolve() };
}

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

export function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

/**
 * Keeps the membership while `work` is busy or waits for the database. When a heartbeat fails the group is rebalancing: the work is let go
 * (the database decides whether it was applied) and the heartbeat's error goes to the Kafka client, which joins again.
 */
export async function withHeartbeats(control: BatchControl, work: (lost: AbortSignal) => Promise<void>): Promise<void> {
  const lost = new AbortController();
  const timer = setInterval(() => {
    control.heartbeat().catch((error: unknown) => lost.abort(error));
  }, heartbeatEveryMs);
  try {
    await work(lost.signal);
  } finally {
    clearInterval(timer);
  }
}

/**
 * Decodes messages for the mirror of their topic, up to the first that shows another table than the mirror's. When they ask for columns of
 * it, these are made first and the messages decoded again.
 *
 * @throws CdcError of the first event that cannot be decoded, when such events stop the model
 */
export async function decode(
  { decoder, mirrors, onPoison, mismatches }: Pick<ReaderContext, 'decoder' | 'mirrors' | 'onPoison' | 'mismatches'>,
  place: { readonly topic: string; readonly partition: number },
  messages: readonly ConsumedMessage[],
): Promise<Omit<Decoded, 'demands'>> {
  for (;;) {
    const mirror = mirrors.of(place.topic);
    const { demands, ...decoded } = await decodeInTurns(decoder, mirror, place, messages, mismatches, 'park');
    const [first] = decoded.events.poisoned.values();
    if (onPoison === 'stop' && first !== undefined) throw first.error ?? new Error(first.cause);
    if (demands.length === 0) return decoded;
    await mirrors.follow(mirror, demands);
  }
}

/** Events of a batch that only moves a position. */
export function noEvents(mirror: Mirror): DecodedEvents {
  return { mirror, messages: [], changes: [], poisoned: new Map() };
}
