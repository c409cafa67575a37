import { setTimeout as delay } from 'node:timers/promises';
import { formatTableId } from '#change-events/index.ts';
import type { BatchControl, ConsumedBatch, ConsumedMessage, ConsumerOptions, PartitionOffsets, PassedOffsets } from '#kafka/index.ts';
import type { PartitionBatch } from '../apply-transaction.ts';
import { qualified } from '../database.ts';
import { decode, isAhead, nameOf, noEvents, restMs, withHeartbeats, type ReaderContext } from '../partition-reader.ts';
import { claimPartitions, requireNothingLost, type TopicPartition } from '../positions.ts';
import { retrying, unlessAborted } from '../retry.ts';
import { readEnd, transactionOf } from './boundary.ts';
import { createSequencer, type Sequencer, type Taken } from './sequencer.ts';

/** What this member knows of a partition. Its events up to `stored` are applied; the sequencer knows how far it is read. */
type Holding = TopicPartition & { stored: bigint; readonly epoch: bigint };

/** One assignment of all partitions. */
type Session = { readonly sequencer: Sequencer; readonly holdings: ReadonlyMap<string, Holding>; readonly boundary: Boundary };

/** The transaction topic's partition: how far it is read. Its events are the sequencer's ends. */
type Boundary = { readTo: bigint };

/** Where the partitions of each topic ended. */
type Ends = ReadonlyMap<string, readonly PartitionOffsets[]>;

/** A look at a transaction that lacks events: its end's offset and the last known one's, and where the topics ended after that. */
type Look = { readonly first: bigint; readonly through: bigint; readonly ends: Ends };

export type TransactionReaderContext = ReaderContext & {
  /** The transaction topic, of one partition. */
  readonly boundaryTopic: string;
  /** Events that wait for the end of their transaction may take so many bytes; twice as many, when the next transaction needs them. */
  readonly bufferBytes: number;
  /** The position of a partition was moved by somebody else: to be assigned anew. */
  readonly onStale: () => void;
};

const eventsPerTransaction = 10_000;
const lostCheckMs = 2000;
const turnDownMs = 20;
const nothing: Taken = { messages: new Map(), torn: [] };

/**
 * Reads all partitions of a model and gives the applier whole source transactions, in commit order. Positions of all partitions move with
 * them, so that what is stored is always between two transactions.
 */
export function transactionReader(context: TransactionReaderContext): Pick<ConsumerOptions, 'onBatch' | 'onAssigned' | 'onPassed'> {
  const { schema, pool, admin, mirrors, decoder, schemas, logger, signal, boundaryTopic, bufferBytes, onFailure } = context;
  let session: Promise<Session> | undefined;
  let draining: Promise<void> = Promise.resolve();
  /** What held nothing for us is passed, in its order; the next batch waits for it. */
  let moving: Promise<void> = Promise.resolve();

  const open = async (places: readonly TopicPartition[]): Promise<Session> => {
    const positions = await retrying(`claiming partitions for ${schema}`, logger, signal, () =>
      claimPartitions(pool, schema, admin, places),
    );
    const sequencer = createSequencer(new Set(mirrors.topics.map((topic) => formatTableId(mirrors.of(topic).source))), (value) =>
      transactionOf(decoder, value),
    );
    const holdings = new Map<string, Holding>();
    const boundary: Boundary = { readTo: 0n };
    for (const { topic, partition, nextOffset, epoch } of positions) {
      holdings.set(nameOf({ topic, partition }), { topic, partition, stored: nextOffset, epoch });
      if (topic === boundaryTopic) boundary.readTo = nextOffset;
      else sequencer.addLane(nameOf({ topic, partition }), formatTableId(mirrors.of(topic).source), nextOffset);
    }
    return { sequencer, holdings, boundary };
  };

  const read = async (batch: ConsumedBatch, control: BatchControl): Promise<void> => {
    await moving;
    const current = await session;
    const name = nameOf(batch);
    const holding = current?.holdings.get(name);
    if (current === undefined || holding === undefined || !control.isCurrent()) return;
    const { sequencer } = current;
    const readTo = readToOf(current, holding);
    const turnDown = (): void => control.seek(readTo);
    const messages = batch.messages.filter(({ offset }) => offset >= readTo);
    const [first] = messages;
    if (first === undefined) {
      if (batch.nextOffset < readTo) turnDown();
      return;
    }
    if (first.offset > readTo) {
      await requireNothingLost(admin, batch, readTo);
      if (isAhead(batch, batch.fetchedFrom, readTo, logger)) return turnDown();
    }
    if (!(await schemas.ready(batch, messages))) {
      control.rest(restMs);
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
    await drain(current);
  };

  const readToOf = ({ sequencer, boundary }: Session, { topic, partition }: TopicPartition): bigint =>
    topic === boundaryTopic ? boundary.readTo : sequencer.readTo(nameOf({ topic, partition }));

  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const turn = draining.then(work);
    draining = turn.catch(() => undefined);
    return turn;
  };

  /** Applies whatever is complete by now. */
  const drain = (current: Session): Promise<void> =>
    inTurn(async () => {
      const { sequencer } = current;
      for (let taken = sequencer.take(eventsPerTransaction); taken !== null; taken = sequencer.take(eventsPerTransaction)) {
        await apply(current, taken);
      }
      await apply(current, sequencer.bytes() > 2 * bufferBytes ? sequencer.takeTorn() : nothing);
    });

  const apply = async (current: Session, { messages, torn }: Taken): Promise<void> => {
    for (;;) {
      const batches: PartitionBatch[] = [];
      for (const [name, holding] of current.holdings) {
        const batch = await toBatch(current, holding, messages.get(name) ?? []);
        if (batch.nextOffset > batch.expectedOffset) batches.push(batch);
      }
      if (batches.length === 0) return;
      const outcome = await context.applier.submit(...batches);
      if (outcome === 'stale') {
        logger.warn({ schema }, 'another consumer has taken partitions or moved their positions: reading them again');
        context.onStale();
        // Nothing of this session may be applied any more.
        return new Promise(() => undefined);
      }
      if (typeof outcome === 'object') throw outcome.halted.error;
      if (outcome === 'outdated') {
        await mirrors.reload();
        continue;
      }
      for (const { topic, partition, nextOffset } of batches) {
        const holding = current.holdings.get(nameOf({ topic, partition }));
        if (holding !== undefined) holding.stored = nextOffset;
      }
      if (torn.length > 0) await reportTorn(torn);
      return;
    }
  };

  const toBatch = async (current: Session, holding: Holding, messages: readonly ConsumedMessage[]): Promise<PartitionBatch> => {
    const { topic, partition, stored: expectedOffset, epoch } = holding;
    const { sequencer, boundary } = current;
    const isBoundary = topic === boundaryTopic;
    const nextOffset = isBoundary ? (sequencer.firstEnd()?.offset ?? boundary.readTo) : sequencer.takenTo(nameOf({ topic, partition }));
    const none = isBoundary || messages.length === 0;
    if (none) {
      const events = noEvents(mirrors.of(isBoundary ? (mirrors.topics[0] ?? '') : topic));
      return { topic, partition, ...events, expectedOffset, epoch, nextOffset };
    }
    const { events, mismatch } = await decode(context, holding, messages);
    // Transactions are whole over all tables: none can go on without the others.
    if (mismatch !== null) throw mismatch.error;
    return { topic, partition, ...events, expectedOffset, epoch, nextOffset };
  };

  const reportTorn = async (torn: readonly string[]): Promise<void> => {
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
  };

  /**
   * A transaction whose end is known but whose events are not in their topics (deleted, or applied before this mode was switched on) is
   * waited for in vain: then all is read that was in those topics when its end was known.
   */
  const watchForLosses = async (current: Session): Promise<void> => {
    const { sequencer } = current;
    let look: Look | undefined;
    for (;;) {
      await delay(lostCheckMs, undefined, { signal });
      if ((await session) !== current) return;
      const first = sequencer.firstEnd()?.offset;
      const lacking = sequencer.lacking();
      if (first === undefined || lacking === null || lacking.size === 0) {
        look = undefined;
      } else if (look?.first === first) {
        const exhausted = exhaustedOf(current, look.ends);
        if (![...lacking].every((collection) => exhausted.has(collection))) continue;
        const { through } = look;
        await inTurn(() => apply(current, sequencer.giveUp(exhausted, through)));
        await drain(current);
      } else {
        const through = sequencer.lastEnd() ?? first;
        const ends = await Promise.all(mirrors.topics.map(async (topic) => [topic, await endsOf(current, topic)] as const));
        look = { first, through, ends: new Map(ends) };
      }
    }
  };

  const endsOf = async ({ holdings }: Session, topic: string): Promise<readonly PartitionOffsets[]> => {
    const isHeld = [...holdings.values()].some((holding) => holding.topic === topic);
    return isHeld ? admin.offsetsOf(topic) : [];
  };

  /** The collections of the topics that are read to these ends. */
  const exhaustedOf = ({ sequencer, holdings }: Session, ends: Ends): ReadonlySet<string> => {
    const exhausted = mirrors.topics.filter((topic) => {
      const places = [...holdings.values()].filter((holding) => holding.topic === topic);
      const end = (partition: number): bigint => ends.get(topic)?.find((one) => one.partition === partition)?.high ?? 0n;
      return places.length > 0 && places.every((place) => sequencer.readTo(nameOf(place)) >= end(place.partition));
    });
    return new Set(exhausted.map((topic) => formatTableId(mirrors.of(topic).source)));
  };

  /** Past control records and aborted events only: nothing to apply, but the position moves. */
  const moveOn = async ({ topic, partition, from, to: nextOffset }: PassedOffsets): Promise<void> => {
    const name = nameOf({ topic, partition });
    const current = await session;
    const holding = current?.holdings.get(name);
    if (current === undefined || holding === undefined || nextOffset <= readToOf(current, holding)) return;
    if (isAhead(holding, from, readToOf(current, holding), logger)) return;
    await requireNothingLost(admin, holding, readToOf(current, holding));
    // A batch may have come meanwhile.
    if (nextOffset <= readToOf(current, holding)) return;
    if (topic === boundaryTopic) current.boundary.readTo = nextOffset;
    else current.sequencer.add(name, [], nextOffset);
    await drain(current);
  };

  return {
    onAssigned(assignment) {
      const opened = open(
        Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition }))),
      );
      session = opened;
      opened.then(watchForLosses).catch((error: unknown) => {
        if (!signal.aborted) onFailure(error);
      });
    },
    async onBatch(batch, control) {
      try {
        await withHeartbeats(control, (lost) => unlessAborted(read(batch, control), AbortSignal.any([lost, signal])));
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    onPassed(passed) {
      moving = moving.then(() => moveOn(passed));
      moving.catch((error: unknown) => {
        if (!signal.aborted) onFailure(error);
      });
    },
  };
}
