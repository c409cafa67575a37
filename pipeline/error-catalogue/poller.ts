import type { CatalogueEntry } from './entry.ts';

/** Query-based capture. */
export const pollerErrors = {
  TABLE_UNKNOWN: {
    cause: 'A configured table does not exist.',
    remedy: 'Correct poller.tables in pipeline.yaml.',
    exitCode: 78,
  },
  TABLE_KIND: {
    cause: 'A configured table is a view, or something else without rows of its own. It cannot be polled in mode incrementing.',
    remedy: 'Use mode timestamp or bulk.',
    exitCode: 78,
  },
  TABLE_INHERITED: {
    cause:
      'Other tables inherit from a configured table. A SELECT from it returns their rows too, and the same key may be in several of them.',
    remedy: 'Set only: true for the table, and add the child tables to poller.tables.',
    exitCode: 78,
  },
  ROW_SECURITY: {
    cause: 'Row-level security hides rows of a table from the role of the poller. They would never be published, or look deleted.',
    remedy: 'Let the owner create a policy that shows the role all rows, or let a superuser grant it BYPASSRLS.',
    exitCode: 77,
  },
  COLUMN_UNKNOWN: { cause: 'A configured column does not exist.', remedy: 'Correct poller.tables in pipeline.yaml.', exitCode: 78 },
  COLUMN_NULLABLE: {
    cause: 'A tracking column may be null. A row with null there would never be read.',
    remedy: 'Choose another column, or add a second timestamp column that is never null.',
    exitCode: 78,
  },
  COLUMN_TYPE_UNFIT: {
    cause: 'A tracking column has a type without a usable order of times or ids.',
    remedy: 'Choose another column, or use the log-based strategy for this table.',
    exitCode: 78,
  },
  COLUMN_TYPE_UNKNOWN: {
    cause: 'A column has a type that the poller does not know, so its text may not be the whole value.',
    remedy: 'Leave the column out (excludeColumns in poller.tables), or declare a query that casts it to a known type.',
    exitCode: 78,
  },
  VALUE_UNREADABLE: {
    cause: 'A row has a value that does not match its type, so no event can represent it.',
    remedy: 'Leave the column out (excludeColumns in poller.tables), or correct the row. Then restart the poller.',
    exitCode: 65,
  },
  KEY_UNFIT: {
    cause:
      'A table has no usable key: it has none, none that identifies one row, one whose values look alike in events, or one that is masked or left out.',
    remedy: 'Declare key: columns that together are unique and not null.',
    exitCode: 78,
  },
  SEQUENCE_UNFIT: {
    cause: 'Ids do not ascend in the order in which they are drawn, so mode incrementing could miss rows.',
    remedy: 'Use a timestamp mode for this table.',
    exitCode: 78,
  },
  QUERY_INVALID: {
    cause: 'The database refuses a query of the configuration.',
    remedy: 'Correct query in poller.tables: one SELECT without a semicolon, with named columns.',
    exitCode: 78,
  },
  TABLE_CHANGED: {
    cause: 'A table, or its configuration, has another key, mode or tracking column than its position.',
    remedy: 'Undo the change, or run cdc poller reset --table, which loads the table again.',
    exitCode: 78,
  },
  SCHEMA_USAGE_MISSING: {
    cause: 'The role of the poller may not use the schema of a table.',
    remedy: 'Let the owner of the schema grant USAGE.',
    exitCode: 77,
  },
  TOPIC_UNFIT: {
    cause: 'The topic of a table would be that of another table too, or is not a valid topic name.',
    remedy: 'Set topic for one of the tables in poller.tables. A table of a pattern needs an entry of its own for that.',
    exitCode: 78,
  },
  SELECT_MISSING: {
    cause: "The poller's role may not read a table.",
    remedy: 'Let the owner grant USAGE on the schema and SELECT on the table.',
    exitCode: 77,
  },
  TABLES_UNFIT: { cause: 'Several configured tables or columns cannot be polled.', remedy: 'Fix each problem listed.', exitCode: 78 },
  SOURCE_IS_STANDBY: {
    cause: 'The legacy server is a standby. It does not show the transactions of its primary, so the fence does not work.',
    remedy: 'Point legacyDb.host at the primary.',
    exitCode: 78,
  },
  POOLER_BETWEEN: {
    cause:
      'There is a connection pooler between the poller and the server. In transaction mode each statement may run on another connection with other settings, and open transactions cannot be recognised.',
    remedy:
      'Point legacyDb.host and port at the Postgres server itself. If the pooler is in session mode (pgbouncer: pool_mode = session), set legacyDb.pooler: session.',
    exitCode: 78,
  },
  SOURCE_CHANGED: {
    cause: 'The position belongs to another database: this is another server, a restored backup, or the result of a failover.',
    remedy: 'Check legacyDb. If the change is intended, run cdc poller reset, which loads the tables again.',
    exitCode: 78,
  },
  POSITION_INVALID: {
    cause: 'A stored position cannot be read: a newer version, or something else, wrote it.',
    remedy: 'Run the version that wrote it, or cdc poller reset, which loads the tables again.',
    exitCode: 65,
  },
  POSITION_INCOMPLETE: {
    cause:
      'Remembered keys of a stored position are missing from the positions topic: a retention removed them (cleanup.policy is not just compact), or somebody deleted records. Going on would publish rows twice.',
    remedy: 'Set cleanup.policy=compact on the topic, and run cdc poller reset --table, which loads the table again.',
    exitCode: 65,
  },
  TOPIC_REPLACED: {
    cause:
      'The topic of a table was deleted and created again. Earlier events are missing from it, though the position says that they are published.',
    remedy: 'Run cdc poller reset --table, which loads the table again.',
    exitCode: 65,
  },
  POSITIONS_LOST: {
    cause: 'The topic with the positions of a poller was deleted while the poller ran.',
    remedy: 'Restart the poller. It creates the topic and loads every table again.',
    exitCode: 65,
  },
  SWEEP_TOO_MANY_KEYS: {
    cause: 'A key sweep keeps the published keys in memory, and the table has more than sweep.maxKeys.',
    remedy: 'Raise sweep.maxKeys (about 60 bytes a key), or use the log-based strategy for this table.',
    exitCode: 78,
  },
  SWEEP_KEY_UNFIT: {
    cause: 'A key sweep needs one integer or uuid column as primary key, so that it can order keys as the database does.',
    remedy: 'Remove sweep from this table, or use the log-based strategy for it.',
    exitCode: 78,
  },
} as const satisfies Record<string, CatalogueEntry>;
