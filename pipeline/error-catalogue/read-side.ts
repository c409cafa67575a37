import type { CatalogueEntry } from './entry.ts';

/** Read model and comparison. */
export const readSideErrors = {
  READ_DB_UNREACHABLE: {
    cause: 'The read database did not answer at the configured address, or refused the login.',
    remedy: 'Start it (cdc stack up), or correct readModel.host, port, database, user and password.',
    exitCode: 69,
  },
  READ_MODEL_NOT_CONFIGURED: {
    cause: 'A read model is asked for that the configuration does not name.',
    remedy: 'Name it under readModel.models, or pass the name of one that is there.',
    exitCode: 78,
  },
  READ_MODEL_NOT_MIGRATED: {
    cause: "The read model's tables are missing or older than this program.",
    remedy: 'Run cdc read-model migrate.',
    exitCode: 78,
  },
  READ_MODEL_MIGRATION_CHANGED: {
    cause: 'A migration file was changed after it had been applied.',
    remedy: 'Restore the file and put the change into a new one; or drop the schema and fill the model again.',
    exitCode: 78,
  },
  READ_MODEL_MIRROR_INVALID: {
    cause: 'A mirror table cannot take its source table: it does not exist, or has no primary key.',
    remedy: 'Create the table with the primary key of its source, or remove its row from mirrored_tables.',
    exitCode: 78,
  },
  READ_MODEL_EVENTS_LOST: {
    cause: 'Kafka has deleted events that the read model has not applied (retention), so the model would silently be wrong.',
    remedy: 'Fill the model again from a new snapshot, and raise retention.ms or retention.bytes of the topic.',
    exitCode: 65,
  },
  READ_MODEL_TOPIC_REPLACED: {
    cause: 'The topic ends before the offset that the read model has applied: it was deleted and made again, or restored.',
    remedy: 'Drop the model (its schema), migrate and fill it again from the new topic.',
    exitCode: 65,
  },
  READ_MODEL_EVENT_INAPPLICABLE: {
    cause:
      'An event is of the contract, but the mirror table cannot take it. Nothing was skipped: the event is parked, or (onPoison: stop) the model stands before it.',
    remedy:
      'Change the mirror table so that it can take the event (its cause is named); then cdc read-model parked retry, or start the read model again.',
    exitCode: 65,
  },
  READ_MODEL_SCHEMA_CHANGED: {
    cause:
      "A value is not of its mirror column's type, or a key column has none: the source's table was changed in a way that the mirror does not follow by itself. This table stands before the event, others go on; nothing was skipped.",
    remedy:
      'Give the mirror the type of the source (ALTER TABLE … ALTER COLUMN … TYPE … USING …): the table goes on by itself within seconds. If only single events are wrong: onSchemaChange: park. If what is stored is not to be kept: cdc read-model rebuild.',
    exitCode: 65,
  },
  READ_MODEL_PROJECTIONS_CHANGED: {
    cause: 'The SQL of a view has changed since the version of the model that serves was filled: old and new rows would be mixed.',
    remedy: 'Run cdc read-model rebuild --switch with the new program, then start it. Until then the old program can go on.',
    exitCode: 78,
  },
  READ_MODEL_VERSION_MISSING: {
    cause: 'A version of a read model is asked for that does not exist (any more).',
    remedy: 'cdc read-model versions lists what there is; cdc read-model rebuild makes a new one.',
    exitCode: 64,
  },
  READ_MODEL_NOT_LEVEL: {
    cause: 'A new version of a read model cannot reach what the serving one has applied: a topic is gone, or it falls behind for good.',
    remedy: 'Compare both with cdc read-model status; run cdc read-model rebuild --switch again, it goes on where it was.',
    exitCode: 75,
  },
  READ_MODEL_PARKED_FULL: {
    cause:
      'More events cannot be applied than may be parked (parkedMax): something is wrong with a whole table, not with single events. Nothing was skipped.',
    remedy: 'Look at cdc read-model parked list, remove the cause, then cdc read-model parked retry; or raise parkedMax.',
    exitCode: 65,
  },
  READ_MODEL_PARKED_UNKNOWN: {
    cause: 'A parked event is asked for that does not exist, or is not parked any more.',
    remedy: 'cdc read-model parked list shows what is parked.',
    exitCode: 64,
  },
  LEDGER_MISSING: {
    cause: 'A comparison measures against the ledger of truth, a trigger-kept record of every change, and the legacy database has none.',
    remedy: 'Run cdc legacy-db migrate --ledger, or SELECT ledger.watch(...) for a table it does not watch. Not meant for production.',
    exitCode: 78,
  },
  COMPARISON_IMPOSSIBLE: {
    cause: 'Something that a comparison needs is not configured or does not exist.',
    remedy:
      'Configure both strategies (poller and connect) and a read model for the topic prefix of each; compare tables with a primary key.',
    exitCode: 78,
  },
  COMPARISON_NOT_CAUGHT_UP: {
    cause: 'A strategy or its read model did not take in everything that had committed within the time given.',
    remedy:
      'See that the poller (with comparison.sweep also cdc poller start --sweep), the connector and all read models run (cdc poller status, cdc connectors status), or allow more time. A sweep that is not believed says so in cdc poller status --sweep.',
    exitCode: 75,
  },
  COMPARISON_TOO_LARGE: {
    cause: 'The run holds more changes than a comparison keeps in memory.',
    remedy: 'Compare a shorter or slower run.',
    exitCode: 65,
  },
} as const satisfies Record<string, CatalogueEntry>;
