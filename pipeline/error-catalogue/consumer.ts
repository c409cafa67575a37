import type { CatalogueEntry } from './entry.ts';

/** Errors of a service's consumer (docs/sdk.md). */
export const consumerErrors = {
  CONSUMER_INVALID: {
    cause: 'The options of consume are not as they must be.',
    remedy: 'Correct the option that the message names (docs/sdk.md).',
    exitCode: 78,
  },
  CONSUMER_NOT_MIGRATED: {
    cause: "The consumer's own tables do not exist in the service's database, or are not up to date, and consume did not make them.",
    remedy:
      "Let an owner of the database run the SQL that migrationSql(schema) gives, or allow the service's role to create the schema, and leave migrate at its default.",
    exitCode: 78,
  },
  CONSUMER_SCHEMA_NEWER: {
    cause: "The consumer's own tables were made by a newer version of the package. This version does not know what they mean.",
    remedy: 'Run the newer version of the package.',
    exitCode: 78,
  },
  CONSUMER_SCHEMA_TAKEN: {
    cause: 'The schema of the consumer holds the positions of another consumer group. Two groups would take the positions from each other.',
    remedy: 'Name another schema for this group: consume({ schema: … }).',
    exitCode: 78,
  },
  CONSUMER_DATABASE_REFUSED: {
    cause: "The service's database refuses the connection, or what the consumer asks of it.",
    remedy: 'Correct the connection settings or the rights of the role, as the message says.',
    exitCode: 77,
  },
  CONSUMER_EVENTS_LOST: {
    cause:
      'Kafka has deleted events that the handler has not seen (retention). Going on would leave them out without notice, so the partition halts; others go on.',
    remedy:
      'Have the whole table published again, correct what the handler has written, and set next_offset of the partition in applied_offsets to what Kafka still has, as the message says. The consumer goes on by itself.',
    exitCode: 65,
  },
  CONSUMER_TOPIC_REPLACED: {
    cause:
      'The topic is not the one that the position belongs to (it was deleted and created again, or the cluster is another one), or it ends before the position. That offset now has other events, so none of them is handed over.',
    remedy:
      'Correct what the handler has written, and set next_offset of the topic in applied_offsets to 0, as the message says. The consumer goes on by itself.',
    exitCode: 65,
  },
  CONSUMER_HALTED: {
    cause: 'There is a problem that no single event causes. The partition halts before the event in the message. Others go on.',
    remedy: 'Remove the cause in the message. The partition retries every second and goes on by itself.',
    exitCode: 70,
  },
  CONSUMER_TRIES_AGAIN: {
    cause: "The service's database refuses the transaction for now. The consumer retries until it succeeds; nothing was skipped.",
    remedy: 'Wait, if it passes. Otherwise remove the cause in the message.',
    exitCode: 75,
  },
  CONSUMER_HANDLER_FAILED: {
    cause: 'The handler threw. Its transaction was rolled back, and the same changes are handed over again after a growing pause.',
    remedy:
      'Correct the handler, or what it needs. A change that can never be handled: throw new Poison(change, why), or set onError: "park".',
    exitCode: 70,
  },
  CONSUMER_HANDLER_TIMEOUT: {
    cause:
      'The handler did not end within handlerTimeoutMs. Its signal was aborted, its connection was ended, its transaction was rolled back.',
    remedy: 'Make the handler quicker, hand it fewer changes at a time (batch), or raise handlerTimeoutMs.',
    exitCode: 75,
  },
  CONSUMER_TRANSACTION_ENDED: {
    cause:
      'The handler ended the transaction that it was given (COMMIT or ROLLBACK). The position and its effects must commit together, so the consumer ends.',
    remedy:
      'Remove BEGIN, COMMIT and ROLLBACK from the handler: consume commits when the handler returns, and rolls back when it throws. SAVEPOINTs are allowed.',
    exitCode: 70,
  },
  CONSUMER_CONNECTION_TAKEN: {
    cause: 'The handler released or ended the connection that it was given, or used it after it had returned.',
    remedy: 'Only query with tx, and await every query before the handler returns. consume releases the connection.',
    exitCode: 70,
  },
  CONSUMER_POISON: {
    cause: 'The handler said that it can never handle this change. The change is parked, and the later changes of its key behind it.',
    remedy: 'Correct the handler and call parked.retry() (or cdc consumer parked retry), or give the change up with parked.discard().',
    exitCode: 65,
  },
  CONSUMER_PARKED_FULL: {
    cause: 'More changes are parked than parkedMax allows. The cause is probably not in the single changes.',
    remedy: 'Look at the causes with parked.list(), remove them, and call parked.retry(); or raise parkedMax.',
    exitCode: 65,
  },
  CONSUMER_PARKED_UNKNOWN: {
    cause: 'There is no parked change with this id.',
    remedy: 'Take an id from parked.list().',
    exitCode: 64,
  },
  CONSUMER_SKIP_REFUSED: {
    cause: 'No partition of this process halts at the range that skip was given.',
    remedy: 'Take the range from the remedy that status() shows, of the instance that has the partition.',
    exitCode: 64,
  },
  CONSUMER_RETRY_WAITS: {
    cause:
      'No running consumer has finished the retry that was asked for. The request stays: a consumer that runs takes it up within seconds.',
    remedy: 'See that the service runs, with this version of the package. Then look at what is still parked: cdc consumer parked list.',
    exitCode: 75,
  },
  CONSUMER_NOT_REACHED: {
    cause: 'The consumer did not reach the position in time.',
    remedy: 'Wait longer (timeoutMs), or look at status() for what holds it up.',
    exitCode: 75,
  },
  CONSUMER_ENDED: {
    cause: 'The consumer has ended.',
    remedy: 'Call consume again. finished rejects with what ended the consumer, if anything failed.',
    exitCode: 69,
  },
} as const satisfies Record<string, CatalogueEntry>;
