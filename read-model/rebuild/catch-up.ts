import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaAdmin } from '#kafka/index.ts';
import { CdcError } from '#pipeline/index.ts';
import type { Pool } from 'pg';
import { appliedOffsets } from '../apply/positions.ts';
import { haltedPartitions, isWait } from '../faults/halts.ts';

export type RebuildProgress = {
  readonly version: number;
  readonly applied: bigint;
  readonly end: bigint;
  /** In words. */
  readonly waitsFor: string;
};

/** One look at a version that is being filled. */
export type Sight = {
  /** By `topic/partition`, the offset to apply next. */
  readonly applied: ReadonlyMap<string, bigint>;
  /** Why partitions halt: those that wait, and those that will not go on by themselves. */
  readonly waits: readonly string[];
};

export type Filling = {
  /** Where the partitions end that the version has claimed; none before it has. On a busy machine, and of many topics, a matter of seconds. */
  readonly ends: () => Promise<ReadonlyMap<string, bigint>>;
  /** @throws CdcError when a partition halts before an event that it cannot take */
  readonly look: () => Promise<Sight>;
  readonly onProgress: (sums: Pick<RebuildProgress, 'applied' | 'end' | 'waitsFor'>) => void;
  readonly signal: AbortSignal;
  /** A round of catching up that took no longer left no more behind it than the switch can wait for. */
  readonly shortRoundMs?: number;
};

const lookEveryMs = 200;

/**
 * Resolves when the version has applied what the topics held a moment ago, or as nearly as it ever will: in rounds, each up to where the topics
 * ended when it began. Time alone says nothing, since a busy machine may take long to say where many topics end. It is enough when nothing was
 * left, when the round was short, or when rounds do not become shorter any more: the switch then waits for what is left.
 */
export async function catchUp({ ends: askEnds, look, onProgress, signal, shortRoundMs = 2000 }: Filling): Promise<void> {
  for (let roundBeforeMs = Number.POSITIVE_INFINITY; ;) {
    signal.throwIfAborted();
    const began = performance.now();
    const ends = await askEnds();
    let looks = 0;
    for (; ; looks += 1) {
      const { applied, waits } = await look();
      const behind = [...ends].filter(([place, end]) => (applied.get(place) ?? 0n) < end);
      onProgress({ applied: sum(applied), end: sum(ends), waitsFor: waitsFor(ends.size, behind, applied, waits) });
      if (behind.length === 0) break;
      await delay(lookEveryMs, undefined, { signal });
    }
    if (ends.size === 0) {
      await delay(lookEveryMs, undefined, { signal });
      continue;
    }
    const tookMs = performance.now() - began;
    if (looks === 0 || tookMs < shortRoundMs || tookMs >= roundBeforeMs) return;
    roundBeforeMs = tookMs;
  }
}

function waitsFor(
  claimed: number,
  behind: readonly (readonly [string, bigint])[],
  applied: ReadonlyMap<string, bigint>,
  waits: readonly string[],
): string {
  if (claimed === 0) return 'the first partitions of its topics';
  if (behind.length === 0) return 'what came meanwhile';
  return [...waits, describeBehind(behind.map(([place, end]) => ({ place, missing: end - (applied.get(place) ?? 0n) })))].join('; ');
}

const namedAtMost = 3;
const unread = 2n ** 63n;

/** The partitions that are furthest behind; first those that were never read. */
export function describeBehind(behind: readonly { readonly place: string; readonly missing: bigint | null }[]): string {
  const named = behind
    .toSorted((a, b) => Number((b.missing ?? unread) - (a.missing ?? unread)))
    .slice(0, namedAtMost)
    .map(({ place, missing }) => (missing === null ? `${place} (not read at all)` : `${place} (${missing} offsets)`));
  const more = behind.length - named.length;
  return named.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function sum(offsets: ReadonlyMap<string, bigint>): bigint {
  return [...offsets.values()].reduce((total, each) => total + each, 0n);
}

/** How the version in `schema` is filled, as its database and Kafka say. */
export function fillingOf(pool: Pool, admin: KafkaAdmin, schema: string): Pick<Filling, 'ends' | 'look'> {
  return {
    async ends() {
      const topics = [...new Set((await appliedOffsets(pool, schema)).map(({ topic }) => topic))];
      const found = await Promise.all(
        topics.map(async (topic) => (await admin.offsetsOf(topic)).map(({ partition, high }) => [`${topic}/${partition}`, high] as const)),
      );
      return new Map(found.flat());
    },
    async look() {
      const applied = await appliedOffsets(pool, schema);
      const halts = await haltedPartitions(pool, schema);
      const final = halts.find(({ code }) => !isWait(code));
      if (final !== undefined) throw new CdcError('READ_MODEL_SCHEMA_CHANGED', final.cause, { remedy: final.remedy });
      return {
        applied: new Map(applied.map(({ topic, partition, nextOffset }) => [`${topic}/${partition}`, nextOffset] as const)),
        waits: halts.map(({ topic, partition, code, cause }) => `${topic}/${partition} (${code}: ${cause})`),
      };
    },
  };
}
