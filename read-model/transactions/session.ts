import { formatTableId } from '#change-events/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { claimPartitions, nameOf } from '../apply/positions.ts';
import { warnOfCut } from '../consume/beginnings.ts';
import type { MirrorContext } from '../apply/mirror-sink.ts';
import { MismatchError } from '../mirrors/mismatch.ts';
import { retrying } from '../retry.ts';
import { transactionOf } from './boundary.ts';
import { createSequencer, type Sequencer } from './sequencer.ts';

/** What this member knows of a partition. Its events up to `stored` are applied; the sequencer knows how far it is read. */
export type Holding = TopicPartition & { stored: bigint; readonly epoch: bigint };

/** One assignment of all partitions. */
export type Session = {
  readonly sequencer: Sequencer;
  readonly holdings: ReadonlyMap<string, Holding>;
  /** The transaction topic's partition: how far it is read. Its events are the sequencer's ends. */
  readonly boundary: { readTo: bigint };
  /** Kafka's ids of the topics that were claimed. */
  readonly topicIds: ReadonlyMap<string, string | null>;
};

/**
 * Claims partitions in the database and begins at the offsets that it has stored.
 *
 * @throws MismatchError when one of them may not be applied: transactions are whole over all tables, so none can go on without the others
 */
export async function openSession(
  { schema, fingerprint, pool, admin, mirrors, decoder, logger, signal }: MirrorContext,
  boundaryTopic: string,
  places: readonly TopicPartition[],
): Promise<Session> {
  const { positions, refused, cut } = await retrying(`claiming partitions for ${schema}`, logger, signal, () =>
    claimPartitions(pool, schema, admin, places, fingerprint),
  );
  warnOfCut(logger, mirrors, cut);
  if (refused[0] !== undefined) throw new MismatchError(refused[0]);
  const sequencer = createSequencer(new Set(mirrors.topics.map((topic) => formatTableId(mirrors.of(topic).source))), (value) =>
    transactionOf(decoder, value),
  );
  const holdings = new Map<string, Holding>();
  const boundary = { readTo: 0n };
  for (const { topic, partition, nextOffset, epoch } of positions) {
    holdings.set(nameOf({ topic, partition }), { topic, partition, stored: nextOffset, epoch });
    if (topic === boundaryTopic) boundary.readTo = nextOffset;
    else sequencer.addLane(nameOf({ topic, partition }), formatTableId(mirrors.of(topic).source), nextOffset);
  }
  return { sequencer, holdings, boundary, topicIds: new Map(positions.map(({ topic, topicId }) => [topic, topicId])) };
}
