import type { KafkaAdmin } from '#kafka/index.ts';
import { describeError, type Logger } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import type { ApplyOutcome } from '../apply/batch-scheduler.ts';
import { endsModel, faultOf } from '../faults/classify.ts';
import { claimPartitions, nameOf, type Claimed } from '../apply/positions.ts';
import type { TopicPartition } from '#kafka/port.ts';
import { retrying } from '../retry.ts';
import type { Halts } from '../faults/halts.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';
import type { CutPartition } from './beginnings.ts';
import type { Wording } from '../faults/wording.ts';
import { watchTopicIds } from './topic-ids.ts';

/** What this member knows of a partition that it holds. */
export type Holding = {
  readonly topic: string;
  /** Everything before it is in the database. */
  appliedTo: bigint;
  /** Everything before it has been submitted; the next submission expects the database to be here by then. */
  submittedTo: bigint;
  readonly epoch: bigint;
  /** How what was submitted last ended. One submission of a partition is on its way at a time. */
  last: Promise<ApplyOutcome | 'failed'>;
  /** What held nothing for us is passed; the next batch waits for it. */
  moving: Promise<void>;
  /** Kafka's id of the topic that was claimed. */
  readonly topicId: string | null;
  /** Why nothing of the partition may be applied. */
  readonly refused: Mismatch | null;
};

/** The partitions that this member holds, each claimed in the database. */
export type Holdings = {
  /** Takes these partitions over, in place of all that were held. */
  assign(places: readonly TopicPartition[]): void;
  /** The holding of a partition, claimed by this call if it was not yet. Rejects when it could not be claimed. */
  of(place: TopicPartition): Promise<Holding>;
  /** The holding of a partition; undefined when it has none. */
  known(place: TopicPartition): Promise<Holding | undefined>;
  isHeld(place: TopicPartition, held: Promise<Holding>): boolean;
  /** The next batch claims the partition again. With `held`, only if that is the holding still. */
  letGo(place: TopicPartition, held?: Promise<Holding>): void;
};

type Context = {
  readonly schema: string;
  /** Of the projections that views are kept by. */
  readonly fingerprint: string;
  readonly pool: Pool;
  readonly admin: KafkaAdmin;
  readonly halts: Halts;
  /** Hears of partitions that are begun past what Kafka has deleted. */
  readonly onCut: (cut: readonly CutPartition[]) => void;
  readonly wording?: Wording | undefined;
  readonly onPoison: 'park' | 'stop';
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly onFailure: (error: unknown) => void;
};

export function createHoldings({
  schema,
  fingerprint,
  pool,
  admin,
  halts,
  onCut,
  wording,
  onPoison,
  logger,
  signal,
  onFailure,
}: Context): Holdings {
  const holdings = new Map<string, Promise<Holding>>();
  let watching = false;

  const claim = (places: readonly TopicPartition[]): void => {
    if (places.length === 0) return;
    const claimed = retrying(`claiming partitions for ${schema}`, logger, signal, async () => {
      await halts.load();
      return claimPartitions(pool, schema, admin, places, fingerprint, wording);
    });
    reportRefused(claimed).catch(onClaimFailed);
    for (const place of places) {
      const holding = claimed.then((positions) => toHolding(positions, place));
      holdings.set(nameOf(place), holding);
      holding.catch(() => {
        // The next batch claims it again.
        if (holdings.get(nameOf(place)) === holding) holdings.delete(nameOf(place));
      });
    }
  };

  /** A refusal is reported at once: a batch may never come. */
  const reportRefused = async (claimed: Promise<Claimed>): Promise<void> => {
    const { refused, cut } = await claimed;
    onCut(cut);
    for (const one of refused) await halts.halt(one);
  };

  const onClaimFailed = (error: unknown): void => {
    if (signal.aborted) return;
    if (faultOf(error) === 'kafka' || endsModel(error, onPoison)) onFailure(error);
    else logger.error({ reason: describeError(error) }, `claiming partitions for ${schema} failed; trying again`);
  };

  /** Partitions halt when their topic has been replaced: what is on its way fails at its epoch. */
  const watch = async (): Promise<void> => {
    if (watching) return;
    watching = true;
    await watchTopicIds(
      admin,
      async () => {
        const held = await Promise.all([...holdings].map(async ([, holding]) => holding.catch(() => null)));
        return new Map(held.flatMap((one) => (one === null || one.refused !== null ? [] : [[one.topic, one.topicId] as const])));
      },
      (topic) => {
        const places = [...holdings.keys()].map(placeOf).filter((place) => place.topic === topic);
        claim(places);
      },
      signal,
    );
  };

  return {
    assign(places) {
      holdings.clear();
      claim(places);
      watch().catch(() => undefined);
    },
    of(place) {
      if (!holdings.has(nameOf(place))) claim([place]);
      return holdings.get(nameOf(place)) ?? Promise.reject(new TypeError(`partition ${nameOf(place)} was not claimed`));
    },
    known: async (place) => holdings.get(nameOf(place))?.catch(() => undefined),
    isHeld: (place, held) => holdings.get(nameOf(place)) === held,
    letGo(place, held) {
      if (held === undefined || holdings.get(nameOf(place)) === held) holdings.delete(nameOf(place));
    },
  };
}

function toHolding({ positions, refused }: Claimed, place: TopicPartition): Holding {
  const isSame = (candidate: TopicPartition): boolean => nameOf(candidate) === nameOf(place);
  const refusal = refused.find(isSame) ?? null;
  const position = positions.find(isSame);
  const idle = { last: Promise.resolve('applied' as const), moving: Promise.resolve(), topic: place.topic };
  if (refusal !== null)
    return { ...idle, appliedTo: refusal.offset, submittedTo: refusal.offset, epoch: -1n, topicId: null, refused: refusal };
  if (position === undefined) throw new TypeError(`partition ${nameOf(place)} was not claimed`);
  const { nextOffset, epoch, topicId } = position;
  return { ...idle, appliedTo: nextOffset, submittedTo: nextOffset, epoch, topicId, refused: null };
}

function placeOf(name: string): TopicPartition {
  const slash = name.lastIndexOf('/');
  return { topic: name.slice(0, slash), partition: Number(name.slice(slash + 1)) };
}
