import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaAdmin } from '#kafka/index.ts';
import type { Logger } from '#pipeline/index.ts';
import { retrying } from '../retry.ts';

const lookEveryMs = 1000;

/**
 * Waits until a topic of `wanted` exists that is not among `known`, and gives all of `wanted` that exist then. A topic may come late:
 * a log-based connector makes it with the table's first event.
 */
export async function waitForNewTopics(
  admin: KafkaAdmin,
  wanted: readonly string[],
  known: readonly string[],
  logger: Logger,
  signal: AbortSignal,
): Promise<readonly string[]> {
  for (let looked = 0; ; looked += 1) {
    const existing = new Set(await retrying('listing topics', logger, signal, () => admin.listTopics()));
    const present = wanted.filter((topic) => existing.has(topic));
    if (present.some((topic) => !known.includes(topic))) return present;
    if (looked === 0) logger.info({ topics: wanted.filter((topic) => !existing.has(topic)) }, 'waiting for topics that do not exist yet');
    await delay(lookEveryMs, undefined, { signal });
  }
}
