import { patchDefaultOffset } from './default-offset.ts';
import { patchEndOfTopic } from './end-of-topic.ts';
import { replaceWithFaster } from './faster-internals.ts';
import { patchFetchedOffsets } from './fetched-offset.ts';
import { patchFetch } from './fetch-answer.ts';
import { patchProduce } from './packed-produce.ts';
import { patchRequestQueue } from './request-queue.ts';
import { patchTransactionRequests } from './transaction-requests.ts';
import { patchUnknownPartition } from './unknown-partition.ts';

/**
 * The one place where the kafkajs of this process is changed. What is only faster must be there before kafkajs is imported, so it comes with
 * the import of this module; what is right instead of wrong comes with `applyPatches`, which refuses a kafkajs it does not know.
 */
export const hasFasterInternals = replaceWithFaster();

let applied = false;

/**
 * Patches the kafkajs of this process, once.
 *
 * @throws Error when it is built otherwise than version 2.2.4
 */
export function applyPatches(): void {
  if (applied) return;
  patchFetch();
  patchProduce();
  patchEndOfTopic();
  patchFetchedOffsets();
  patchDefaultOffset();
  patchRequestQueue();
  patchTransactionRequests();
  patchUnknownPartition();
  applied = true;
}
