import { mendEndOfTopic } from './end-of-topic.ts';
import { replaceWithFaster } from './faster-internals.ts';
import { tellFetchedOffsets } from './fetched-offset.ts';
import { mendReadCommitted } from './read-committed.ts';

/**
 * The one place where the kafkajs of this process is changed. What is only faster must be there before kafkajs is imported, so it comes with
 * the import of this module; what is right instead of wrong comes with `mendKafkaJs`, which refuses a kafkajs it does not know.
 */
export const hasFasterInternals = replaceWithFaster();

let mended = false;

/**
 * Mends the kafkajs of this process, once.
 *
 * @throws Error when it is built otherwise than version 2.2.4
 */
export function mendKafkaJs(): void {
  if (mended) return;
  mendReadCommitted();
  mendEndOfTopic();
  tellFetchedOffsets();
  mended = true;
}
