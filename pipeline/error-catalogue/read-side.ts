import type { CatalogueEntry } from './entry.ts';

/** Read model and comparison. */
export const readSideErrors = {
  READ_DB_UNREACHABLE: {
    cause: 'The read database did not answer at the configured address, or refused the login.',
    remedy: 'Start it (cdc stack up), or correct readModel.host, port, database, user and password.',
    exitCode: 69,
  },
  READ_MODEL_NOT_CONFIGURED: {
    cause: 'The configuration has no read model with this name.',
    remedy: 'Add it to readModel.models, or use the name of one that exists.',
    exitCode: 78,
  },
  READ_MODEL_NOT_MIGRATED: {
    cause: "The read model's tables are missing or older than this program.",
    remedy: 'Run cdc read-model migrate.',
    exitCode: 78,
  },
  READ_MODEL_NEWER: {
    cause: "A newer version of this program has made the read model's tables.",
    remedy:
      'Run that version or a newer one. Or drop the schema with the older version, run cdc read-model migrate, and let the model fill again from its topics.',
    exitCode: 78,
  },
  READ_MODEL_MIGRATION_CHANGED: {
    cause: 'A migration file was changed after it had been applied.',
    remedy: 'Restore the file and put the change into a new one. Or drop the schema and fill the model again.',
    exitCode: 78,
  },
  READ_MODEL_MIRROR_INVALID: {
    cause: 'A mirror table does not exist, or has no primary key.',
    remedy: 'Create it with the primary key of its source, or remove its row from mirrored_tables.',
    exitCode: 78,
  },
  READ_MODEL_TABLES_INVALID: {
    cause: 'The tables of a read model cannot be mirrored as the configuration asks.',
    remedy: 'Correct each entry that is named, then run cdc read-model plan.',
    exitCode: 78,
  },
  READ_MODEL_MIRROR_IN_USE: {
    cause:
      'A mirror is to be dropped, but a projection, or a view, foreign key or function of your own, still uses it. Nothing was dropped.',
    remedy: 'Remove what uses it, as the message says, then run the command again.',
    exitCode: 78,
  },
  READ_MODEL_EVENTS_LOST: {
    cause:
      'Kafka has deleted events that the read model has not applied (retention), so the model would be wrong without notice. The partition halts before them; other tables go on.',
    remedy:
      'Publish the whole table again (cdc connectors snapshot, or cdc poller reset), then run cdc read-model rebuild --abort and cdc read-model rebuild --from-retained --switch. The model then goes on by itself. Raise retention.ms or retention.bytes of the topic.',
    exitCode: 65,
  },
  READ_MODEL_TOPIC_REPLACED: {
    cause:
      'The topic is not the one that the position belongs to (it was deleted and created again, or the cluster is another one), or it ends before the position. That offset now has other events, so none of them is applied; other tables go on.',
    remedy:
      'Make sure that the topic begins with the whole table (cdc connectors snapshot, or cdc poller reset). Then run cdc read-model rebuild --abort and cdc read-model rebuild --switch, which fills the model from the current topics. The model then goes on by itself.',
    exitCode: 65,
  },
  READ_MODEL_HALTED: {
    cause:
      'There is a problem that no single event causes (a missing table or right, a failing function of the read database). The partition halts before the event in the message. Others go on; nothing was skipped.',
    remedy: 'Remove the cause in the message. The partition retries every second and goes on by itself.',
    exitCode: 70,
  },
  READ_MODEL_COLUMN_UNFIT: {
    cause:
      'The mirror cannot have a column of the event: Postgres does not allow its name, or there would be too many columns. The table halts before the event, others go on; nothing was skipped.',
    remedy:
      'List the column under ignoreColumns of the model in pipeline.yaml and restart the read model. The mirror goes on without it. If single events are wrong, set onSchemaChange: park and restart, then run cdc read-model parked discard.',
    exitCode: 65,
  },
  READ_MODEL_LOCKED: {
    cause:
      'The read model wants to alter a table, and sessions that use it have open transactions. It asks for the lock for a moment at a time, so that no reader waits behind it.',
    remedy: 'Wait, if they end soon: it retries. Otherwise end the sessions in the message: SELECT pg_terminate_backend(<pid>).',
    exitCode: 75,
  },
  READ_MODEL_TRIES_AGAIN: {
    cause: 'The read database refuses the events for now. The read model retries until it succeeds; nothing was skipped.',
    remedy:
      'Wait, if it passes. Otherwise remove the cause in the message (a full disk, too few connections, a session that holds a lock).',
    exitCode: 75,
  },
  READ_MODEL_EVENT_INAPPLICABLE: {
    cause:
      'An event is valid, but its mirror table cannot take it. Nothing was skipped: the event is parked, or (onPoison: stop) the model stops before it.',
    remedy:
      'Change the mirror table so that it can take the event; the message has the cause. Then run cdc read-model parked retry, or restart the read model.',
    exitCode: 65,
  },
  READ_MODEL_SCHEMA_CHANGED: {
    cause:
      'A value does not fit the type of its mirror column, or a key column has no value: the source table was changed in a way that the mirror does not follow by itself. This table halts before the event, others go on; nothing was skipped.',
    remedy:
      'Give the mirror the type of the source (ALTER TABLE … ALTER COLUMN … TYPE … USING …). The table goes on by itself within seconds. If only single events are wrong, set onSchemaChange: park. If you do not need the stored rows, run cdc read-model rebuild.',
    exitCode: 65,
  },
  READ_MODEL_PROJECTIONS_CHANGED: {
    cause: 'The SQL of a view has changed since the current version of the model was filled. Old and new rows would be mixed.',
    remedy: 'Run cdc read-model rebuild --switch with the new program, then start it. The old program can run until then.',
    exitCode: 78,
  },
  READ_MODEL_PROJECTION_INVALID: {
    cause:
      'A projection cannot be kept as its file is: its SQL or its header is wrong, or cdc cannot derive for certain which of its rows a change touches.',
    remedy:
      'Change the lines in the message; docs/projections.md says what a projection may contain, and how to declare what a change touches.',
    exitCode: 78,
  },
  READ_MODEL_PROJECTION_KEY_NOT_UNIQUE: {
    cause:
      'The query of a projection gives two rows for one key. That view halts: its rows stay as they were. Mirrors and other views go on.',
    remedy:
      'Give the projection a key that is unique (more columns in -- key, or a GROUP BY), then run cdc read-model rebuild --switch. If the rows were wrong and are not any more, a restart of the read model makes the view again.',
    exitCode: 65,
  },
  READ_MODEL_PROJECTION_FAILED: {
    cause:
      'The SQL of a projection fails on the rows of the mirrors. That view halts: its rows stay as they were. Mirrors and other views go on.',
    remedy:
      'Change the projection so that it takes such rows (NULLIF for a divisor, CASE before a cast), then run cdc read-model rebuild --switch. If the rows were wrong and are not any more, a restart of the read model makes the view again.',
    exitCode: 65,
  },
  READ_MODEL_VERSION_MISSING: {
    cause: 'This version of the read model does not exist (any more).',
    remedy: 'cdc read-model versions lists all versions; cdc read-model rebuild creates one.',
    exitCode: 64,
  },
  READ_MODEL_VERSION_IN_USE: {
    cause:
      'A version of the read model is to be dropped, but views, foreign keys or functions of your own use it. They would be dropped with it.',
    remedy:
      'Move them to the version in use (CREATE OR REPLACE VIEW …, or drop and create them), then run the command again. With --force they are dropped.',
    exitCode: 78,
  },
  READ_MODEL_NOT_LEVEL: {
    cause: 'A new version of a read model does not catch up with the current one: a topic is gone, or it falls behind for good.',
    remedy: 'Compare both with cdc read-model status. Run cdc read-model rebuild --switch again; it continues where it was.',
    exitCode: 75,
  },
  READ_MODEL_PARKED_FULL: {
    cause:
      'More events cannot be applied than may be parked (parkedMax): a whole table has a problem, not single events. The partition halts before the next one, others go on; nothing was skipped.',
    remedy:
      'Run cdc read-model parked list, remove the cause, then run cdc read-model parked retry (or discard). The partition goes on by itself. Or raise parkedMax and restart the read model.',
    exitCode: 65,
  },
  READ_MODEL_PARKED_UNKNOWN: {
    cause: 'This parked event does not exist, or is no longer parked.',
    remedy: 'cdc read-model parked list shows all parked events.',
    exitCode: 64,
  },
  READ_MODEL_SKIP_REFUSED: {
    cause: 'The model does not halt at the offsets to skip. Skipping them would lose readable events.',
    remedy: 'cdc read-model status names what cannot be read, with the command to skip it.',
    exitCode: 64,
  },
  VERIFY_NO_MIRROR: {
    cause: 'None of the read models has a mirror of this table, so there is nothing to compare its rows with.',
    remedy: 'Correct the name (schema.table), choose other models (--model), or add the mirror (docs/read-model.md).',
    exitCode: 64,
  },
  VERIFY_INCONCLUSIVE: {
    cause:
      'Rows of source and mirror differ, and the read model did not become complete up to the moment of the comparison in time, or the rows kept changing. Nothing is known of them.',
    remedy:
      'Check with cdc read-model status that the model, its capture and its heartbeats run. Then verify again, or allow more time (--timeout).',
    exitCode: 75,
  },
  LEDGER_MISSING: {
    cause: 'A comparison needs the ledger, a record of every change that triggers keep, and the legacy database has none.',
    remedy:
      'Run cdc legacy-db migrate --ledger, or SELECT ledger.watch(...) for a table that it does not cover. Do not use it in production.',
    exitCode: 78,
  },
  COMPARISON_IMPOSSIBLE: {
    cause: 'A comparison needs something that is not configured or does not exist.',
    remedy:
      'Configure both strategies (poller and connect) and a read model for the topic prefix of each. Compare tables with a primary key.',
    exitCode: 78,
  },
  COMPARISON_NOT_CAUGHT_UP: {
    cause: 'A strategy or its read model did not catch up with all commits in time.',
    remedy:
      'Check that the poller (with comparison.sweep also cdc poller start --sweep), the connector and all read models run (cdc poller status, cdc connectors status), or allow more time. cdc poller status --sweep shows whether a sweep was discarded.',
    exitCode: 75,
  },
  COMPARISON_TOO_LARGE: {
    cause: 'The run has more changes than a comparison can keep in memory.',
    remedy: 'Compare a shorter or slower run.',
    exitCode: 65,
  },
} as const satisfies Record<string, CatalogueEntry>;
