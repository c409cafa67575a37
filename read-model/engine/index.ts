/**
 * The engine that keeps a group's places in a Postgres database, for its other user: a service's own consumer (sdk/). The read model is the first.
 * Promises: a position moves by compare-and-set, in the transaction of what is done with the events; who claims a partition fences whoever held it; parked
 * events wait in the order of their keys; a partition that cannot go on says why. Leaves what is done with events to its users.
 */
export type { PositionMove } from '../apply/partition-batch.ts';
export { appliedOffsets, movePositions, nameOf, StalePositionError } from '../apply/positions.ts';
export { byteBudget } from '../consume/byte-budget.ts';
export { joinUntilMoreTopics } from '../consume/membership.ts';
export { PartitionReader, retryAfterMs, type EventSink, type Reader } from '../consume/partition-reader.ts';
export { reportedSchemaWaits, schemaWaits } from '../consume/schema-waits.ts';
export { watchTopicIds } from '../consume/topic-ids.ts';
export { waitForNewTopics } from '../consume/topics.ts';
export { beginning, inTransaction, queryText, qualified, text, transaction, type Database } from '../database.ts';
export { sliceBatch } from '../decode/decode-batch.ts';
export { isUnavailable } from '../decode/values/unavailable.ts';
export { faultOf } from '../faults/classify.ts';
export { waitBefore } from '../faults/halt-reason.ts';
export { recordHalt } from '../faults/halts.ts';
export { skipRange } from '../faults/skip.ts';
export type { Wording } from '../faults/wording.ts';
export { followFreshness } from '../freshness/follow-freshness.ts';
export { formatPosition, hasReached, laterBy, parseWanted, type Wanted } from '../freshness/position.ts';
export { freshnessOf } from '../freshness/read-freshness.ts';
export { ownSql } from '../own-sql.ts';
export {
  eventsOfQueue,
  findParked,
  holdPartition,
  listParked,
  openQueues,
  parkEvents,
  queueName,
  queuesOf,
  resolveEvents,
  restateCause,
  type ParkedEvent,
  type Parking,
  type Queue,
} from '../parking/parked-events.ts';
export { behindCode, queuesOfKey, toPoison, type Poison as ParkedPoison } from '../parking/poison.ts';
export { discardParked } from '../parking/retry-parked.ts';
export { retrying } from '../retry.ts';
export { partitionProgress } from '../status.ts';
export { fingerprintOf } from '../views/stored-projections.ts';
