import { LRUCache } from 'lru-cache';
import type { FallbackConfig } from '#pipeline/index.ts';
import type { Asked, TableAnswer } from '../http/table-answer.ts';

/** The last good answers of the read model, one to each question, bounded by count, by bytes and by age. A page and a row count alike. */
export type LastAnswers = {
  /** A newer answer to the same question stays. */
  keep(asked: Asked, answer: KeptAnswer): void;
  /** The model has said since that it has no such answer (any more). */
  forget(asked: Asked): void;
  /** With its age as it is now; null when there is none, or none that is young enough. */
  find(asked: Asked): KeptAnswer | null;
  /** Of those that are young enough. */
  readonly figures: { readonly answers: number; readonly bytes: number };
};

export type KeptAnswer = Pick<TableAnswer, 'table' | 'link' | 'applied' | 'ageMs'> & { readonly body: string };

/** What an entry takes beside its texts, and each partition of its position: roughly, and rather too much. */
const entryBytes = 500;
const placeBytes = 150;
const characterBytes = 2;

export function createLastAnswers(
  { maxBytes, maxAnswers, maxAgeMs }: FallbackConfig['lastAnswers'],
  now: () => number = () => performance.now(),
): LastAnswers {
  if (maxBytes === 0) return { keep: () => undefined, forget: () => undefined, find: () => null, figures: { answers: 0, bytes: 0 } };
  const cache = new LRUCache<string, KeptAnswer & { readonly readAt: number }>({
    max: maxAnswers,
    maxSize: maxBytes,
    sizeCalculation: ({ body, link, applied }, question) =>
      entryBytes + placeBytes * applied.position.size + characterBytes * (body.length + question.length + (link?.length ?? 0)),
    ttl: maxAgeMs,
    ttlResolution: 0,
    perf: { now },
  });
  return {
    keep(asked, answer) {
      const question = questionOf(asked);
      const readAt = now() - answer.ageMs;
      const known = cache.peek(question);
      if (known === undefined || known.readAt <= readAt) cache.set(question, { ...answer, readAt }, { start: readAt });
    },
    forget(asked) {
      cache.delete(questionOf(asked));
    },
    find(asked) {
      const kept = cache.get(questionOf(asked));
      return kept === undefined ? null : { ...kept, ageMs: now() - kept.readAt };
    },
    get figures() {
      cache.purgeStale();
      return { answers: cache.size, bytes: cache.calculatedSize };
    },
  };
}

/** The same for the same question, in whatever order its parameters come. How long it waits is no part of it. */
function questionOf({ name, key, parameters }: Asked): string {
  const sorted = new URLSearchParams([...parameters].filter(([parameter]) => parameter !== 'min-position' && parameter !== 'if-behind'));
  sorted.sort();
  return JSON.stringify([name, key, sorted.toString()]);
}
