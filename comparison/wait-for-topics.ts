import { setTimeout as delay } from 'node:timers/promises';
import { CdcError } from '#pipeline/index.ts';

/** What is looked at while topics are awaited. */
export type TopicsWatch = {
  /** The topics that there are now. */
  readonly list: () => Promise<readonly string[]>;
  /** Rejects when whoever is to make them has ended. */
  readonly requireMakers?: (() => Promise<void>) | undefined;
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
  /** Longest wait without a topic more. */
  readonly stillMs?: number;
  readonly lookEveryMs?: number;
  readonly sayEveryMs?: number;
  /** The time in ms; any clock that does not go back. */
  readonly now?: () => number;
};

/**
 * Waits until all topics are there: for as long as one more of them comes, and says what it waits for. A machine may take ten times as
 * long as another, so the time as a whole proves nothing.
 *
 * @throws CdcError TOPIC_MISSING naming those that are missing, and for how long none came
 */
export async function waitForTopics(topics: readonly string[], watch: TopicsWatch): Promise<void> {
  const {
    list,
    requireMakers,
    progress,
    signal,
    stillMs = 300_000,
    lookEveryMs = 100,
    sayEveryMs = 10_000,
    now = () => performance.now(),
  } = watch;
  let left = Number.POSITIVE_INFINITY;
  let movedAt = now();
  let saidAt = movedAt;
  for (;;) {
    const present = new Set(await list());
    const missing = topics.filter((topic) => !present.has(topic));
    if (missing.length === 0) return;
    await requireMakers?.();
    const time = now();
    if (missing.length < left) [left, movedAt] = [missing.length, time];
    if (time - movedAt > stillMs) {
      throw new CdcError('TOPIC_MISSING', `${described(missing, topics)}, and none came for ${Math.round(stillMs / 1000)} s`, {
        remedy: 'Look at the logs of the poller and of Connect; on a machine that is this busy, run it again when it is calmer.',
      });
    }
    if (time - saidAt >= sayEveryMs) {
      saidAt = time;
      progress(`  waiting for topics: ${described(missing, topics)}`);
    }
    await delay(lookEveryMs, undefined, { signal });
  }
}

const named = 5;

function described(missing: readonly string[], all: readonly string[]): string {
  const more = missing.length > named ? ` and ${missing.length - named} more` : '';
  return `${missing.length} of ${all.length} topics are not made yet: ${missing.slice(0, named).join(', ')}${more}`;
}
