import { LRUCache } from 'lru-cache';
import type { FallbackConfig } from '#pipeline/index.ts';
import type { Asked, TableAnswer } from '../http/table-answer.ts';

/** The last good answers of the read model, each to one question, within a bound of bytes and of age. */
export type LastAnswers = {
  keep(asked: Asked, answer: KeptAnswer): void;
  /** With its age; null when there is none. */
  find(asked: Asked): (KeptAnswer & { readonly ageMs: number }) | null;
  readonly figures: { readonly answers: number; readonly bytes: number };
};

export type KeptAnswer = Pick<TableAnswer, 'table' | 'link' | 'applied'> & { readonly body: string };

/** What an entry takes beside its texts, roughly. */
const entryBytes = 500;
const perCharacter = 2;

export function createLastAnswers(
  { maxBytes, maxAgeMs }: FallbackConfig['lastAnswers'],
  now: () => number = () => performance.now(),
): LastAnswers {
  if (maxBytes === 0) return { keep: () => undefined, find: () => null, figures: { answers: 0, bytes: 0 } };
  const cache = new LRUCache<string, KeptAnswer & { readonly at: number }>({
    maxSize: maxBytes,
    sizeCalculation: ({ body, link }, question) => entryBytes + perCharacter * (body.length + question.length + (link?.length ?? 0)),
  });
  return {
    keep(asked, answer) {
      cache.set(questionOf(asked), { ...answer, at: now() });
    },
    find(asked) {
      const question = questionOf(asked);
      const kept = cache.get(question);
      if (kept === undefined) return null;
      const ageMs = now() - kept.at;
      if (ageMs <= maxAgeMs) return { ...kept, ageMs };
      cache.delete(question);
      return null;
    },
    get figures() {
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
