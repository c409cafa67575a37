import type { TopicPartition } from '#kafka/port.ts';
import { nameOf } from '#read-model/engine/index.ts';
import type { Trouble } from '../consumer.ts';

/** The partitions of this process whose handler fails, or whose database refuses. */
export type Troubles = {
  /** Whether this is news: another offset, or another cause. */
  report(place: TopicPartition, trouble: Omit<Trouble, 'since' | 'nextTryAt'> & { readonly waitMs: number }): boolean;
  /** The partition has gone on. */
  over(place: TopicPartition): void;
  of(place: TopicPartition): Trouble | null;
};

export function createTroubles(): Troubles {
  const troubles = new Map<string, Trouble>();
  return {
    report(place, { waitMs, ...trouble }) {
      const known = troubles.get(nameOf(place));
      const now = Date.now();
      troubles.set(nameOf(place), { ...trouble, since: known?.since ?? new Date(now), nextTryAt: new Date(now + waitMs) });
      return known?.offset !== trouble.offset || known.code !== trouble.code || known.cause !== trouble.cause;
    },
    over(place) {
      troubles.delete(nameOf(place));
    },
    of: (place) => troubles.get(nameOf(place)) ?? null,
  };
}
