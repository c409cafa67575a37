import { formatTableId } from '#change-events/index.ts';
import type { BatchControl, ConsumedBatch, ConsumerOptions, KafkaAdmin } from '#kafka/index.ts';
import type { Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { Applier } from './applier.ts';
import { changeReader, type ChangeReader } from './change.ts';
import type { Mirror } from './mirror.ts';
import { claimPartitions, requireNothingLost, type Position } from './positions.ts';
import { retrying, unlessAborted } from './retry.ts';

/** What this member knows of a partition that it holds. */
type Holding = {
  nextOffset: bigint;
  readonly epoch: bigint;
  /** unplaced: Kafka still reads where it happens to stand; placed: it was told to read at nextOffset, or does. */
  state: 'unplaced' | 'placed';
};

export type ReaderContext = {
  readonly schema: string;
  readonly pool: Pool;
  readonly admin: KafkaAdmin;
  readonly applier: Applier;
  /** By topic. */
  readonly mirrors: ReadonlyMap<string, Mirror>;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Told what makes it impossible to go on, when no call of onBatch is there to throw it. */
  readonly onFailure: (error: unknown) => void;
};

const heartbeatEveryMs = 1000;

/**
 * Reads the partitions that the group assigns to this member: places each at the offset that the database has stored, gives every batch to
 * the applier from there, and lets go of a partition whose position somebody else has moved. No state here decides what is applied; the
 * database's compare-and-set does.
 */
export function partitionReader(context: ReaderContext): Pick<ConsumerOptions, 'onBatch' | 'onAssigned' | 'onProgress'> {
  const { schema, pool, admin, applier, mirrors, logger, signal, onFailure } = context;
  const readers = new Map<string, ChangeReader>();
  for (const [topic, mirror] of mirrors)
    readers.set(
      topic,
      changeReader(mirror, (column) => warnOfColumn(logger, mirror, column)),
    );
  const holdings = new Map<string, Promise<Holding>>();
  /** The end of the batch that onBatch had last: that Kafka is past it says nothing, since it may have been turned down. */
  const offered = new Map<string, bigint>();

  const claim = (places: readonly { readonly topic: string; readonly partition: number }[]): void => {
    if (places.length === 0) return;
    const claimed = retrying(`claiming partitions for ${schema}`, logger, signal, () => claimPartitions(pool, schema, admin, places));
    claimed.catch(onFailure);
    for (const place of places) {
      const holding = claimed.then((positions) => toHolding(positions, place));
      holding.catch(() => undefined);
      holdings.set(nameOf(place), holding);
    }
  };

  /** Applies what `batch` has from the stored offset on. */
  const read = async (batch: ConsumedBatch, control: BatchControl): Promise<void> => {
    const { topic, partition } = batch;
    const place = nameOf(batch);
    if (!holdings.has(place)) claim([{ topic, partition }]);
    const held = holdings.get(place);
    const holding = await held;
    if (holding === undefined || !control.isCurrent()) return;
    const turnDown = (): void => {
      holding.state = 'placed';
      control.seek(holding.nextOffset);
    };
    const messages = batch.messages.filter(({ offset }) => offset >= holding.nextOffset);
    const [first] = messages;
    if (first === undefined) {
      if (batch.nextOffset < holding.nextOffset) turnDown();
      return;
    }
    if (first.offset > holding.nextOffset) {
      if (holding.state === 'unplaced') return turnDown();
      await requireNothingLost(admin, batch, holding.nextOffset);
    }
    holding.state = 'placed';
    const outcome = await apply(batch, messages, holding);
    if (outcome === 'applied') holding.nextOffset = batch.nextOffset;
    else if (holdings.get(place) === held) {
      logger.warn({ topic, partition }, 'another consumer has taken the partition or moved its position: reading it again');
      holdings.delete(place);
      // If the partition is still this member's, the batch comes again, and claims it anew.
      control.seek(holding.nextOffset);
    }
  };

  const apply = (batch: ConsumedBatch, messages: ConsumedBatch['messages'], holding: Holding): Promise<'applied' | 'stale'> => {
    const { topic, partition } = batch;
    const mirror = mirrors.get(topic);
    const reader = readers.get(topic);
    if (mirror === undefined || reader === undefined) throw new TypeError(`topic ${topic} has no mirror`);
    const changes = messages.map((message) => reader(message, { topic, partition, offset: String(message.offset) }));
    const { nextOffset: expectedOffset, epoch } = holding;
    return applier.submit({ topic, partition, mirror, changes, expectedOffset, epoch, nextOffset: batch.nextOffset });
  };

  return {
    onAssigned(assignment) {
      holdings.clear();
      claim(Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition }))));
    },
    async onBatch(batch, control) {
      offered.set(nameOf(batch), batch.nextOffset);
      try {
        await withHeartbeats(control, (lost) => unlessAborted(read(batch, control), lost));
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    onProgress(topic, partition, nextOffset) {
      const place = nameOf({ topic, partition });
      if (offered.get(place) === nextOffset) {
        offered.delete(place);
        return;
      }
      const held = holdings.get(place);
      if (held === undefined || signal.aborted) return;
      // The next batch of the partition waits for this.
      const moved = held.then(async (holding) => {
        await moveOn({ topic, partition }, holding, nextOffset);
        return holding;
      });
      moved.catch(onFailure);
      if (holdings.get(place) === held) holdings.set(place, moved);
    },
  };

  /** Stores that Kafka has nothing more for us up to `nextOffset`: what lay there were control records and aborted events. */
  async function moveOn(
    place: { readonly topic: string; readonly partition: number },
    holding: Holding,
    nextOffset: bigint,
  ): Promise<void> {
    const mirror = mirrors.get(place.topic);
    if (nextOffset <= holding.nextOffset || holding.state === 'unplaced' || mirror === undefined) return;
    await requireNothingLost(admin, place, holding.nextOffset);
    const { nextOffset: expectedOffset, epoch } = holding;
    const outcome = await applier.submit({ ...place, mirror, changes: [], expectedOffset, epoch, nextOffset });
    if (outcome === 'applied') holding.nextOffset = nextOffset;
    else holdings.delete(nameOf(place));
  }
}

function toHolding(positions: readonly Position[], { topic, partition }: { readonly topic: string; readonly partition: number }): Holding {
  const position = positions.find((candidate) => candidate.topic === topic && candidate.partition === partition);
  if (position === undefined) throw new TypeError(`partition ${topic}/${partition} was not claimed`);
  return { nextOffset: position.nextOffset, epoch: position.epoch, state: 'unplaced' };
}

function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

/**
 * Keeps the membership while `work` is busy or waits for the database. When a heartbeat fails the group is rebalancing: the work is let go
 * (the database decides whether it was applied) and the heartbeat's error goes to the Kafka client, which joins again.
 */
async function withHeartbeats(control: BatchControl, work: (lost: AbortSignal) => Promise<void>): Promise<void> {
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

function warnOfColumn(logger: Logger, mirror: Mirror, column: string): void {
  logger.warn({ table: formatTableId(mirror.source), column }, 'events have a column that the mirror table lacks: it is not copied');
}
