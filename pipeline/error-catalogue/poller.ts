import type { CatalogueEntry } from './entry.ts';

/** Query-based capture. */
export const pollerErrors = {
  TABLE_UNKNOWN: {
    cause: 'A configured table does not exist or is no ordinary table.',
    remedy: 'Correct poller.tables in pipeline.yaml.',
    exitCode: 78,
  },
  COLUMN_UNKNOWN: { cause: 'A configured column does not exist.', remedy: 'Correct poller.tables in pipeline.yaml.', exitCode: 78 },
  COLUMN_NULLABLE: {
    cause: 'A tracking column may be null: such a row would never be read.',
    remedy: 'Set the column NOT NULL, or choose another one.',
    exitCode: 78,
  },
  COLUMN_TYPE_UNFIT: {
    cause: 'A tracking column has a type that has no usable order of time or of ids.',
    remedy: 'Choose another column, or use the log-based strategy for this table.',
    exitCode: 78,
  },
  KEY_UNFIT: {
    cause: 'A table has no key that the poller can use: none at all, none that names one row, or one that would be masked or left out.',
    remedy: 'Declare key: the columns that are unique and not null together.',
    exitCode: 78,
  },
  SEQUENCE_UNFIT: {
    cause: 'Ids do not ascend in the order in which they are drawn, so that in mode incrementing rows could be missed.',
    remedy: 'Use a timestamp mode for this table.',
    exitCode: 78,
  },
  QUERY_INVALID: {
    cause: 'The database refuses a query of the configuration.',
    remedy: 'Correct query in poller.tables: one SELECT without a semicolon, its columns named.',
    exitCode: 78,
  },
  TABLE_CHANGED: {
    cause: 'A table, or its configuration, has another key, mode or tracking column than its position was made with.',
    remedy: 'Put it back, or run cdc poller reset --table, which loads the table again.',
    exitCode: 78,
  },
  SELECT_MISSING: {
    cause: "The poller's role may not read a table.",
    remedy: 'Let the owner grant USAGE on the schema and SELECT on the table.',
    exitCode: 77,
  },
  TABLES_UNFIT: { cause: 'Several configured tables or columns cannot be polled.', remedy: 'Mend each as it is told.', exitCode: 78 },
  SOURCE_IS_STANDBY: {
    cause: 'The legacy server is a standby: it does not show the transactions of its primary, so the fence cannot hold.',
    remedy: 'Point legacyDb.host at the primary.',
    exitCode: 78,
  },
  SOURCE_CHANGED: {
    cause: 'The database is not the one that the position belongs to: another server, a restored backup, or a failover.',
    remedy: 'Check legacyDb; if the change is wanted, run cdc poller reset, which loads the tables again.',
    exitCode: 78,
  },
  POSITION_INVALID: {
    cause: 'A stored position cannot be read: it was written by a newer version or by something else.',
    remedy: 'Run the version that wrote it, or cdc poller reset, which loads the tables again.',
    exitCode: 65,
  },
  POSITION_INCOMPLETE: {
    cause:
      'Of a stored position, remembered keys are gone from the positions topic: by a retention (cleanup.policy is not compact alone), or somebody deleted records. Going on would publish rows twice.',
    remedy: 'Set cleanup.policy=compact on the topic, and run cdc poller reset for the table, which loads it again.',
    exitCode: 65,
  },
  SWEEP_TOO_MANY_KEYS: {
    cause: 'A key sweep holds the published keys in memory, and the table has more than it may hold.',
    remedy: 'Raise sweep.maxKeys (about 60 bytes a key), or use the log-based strategy for this table.',
    exitCode: 78,
  },
  SWEEP_KEY_UNFIT: {
    cause: 'A key sweep needs one integer or uuid column as primary key, to order keys as the database does.',
    remedy: 'Take sweep off this table, or use the log-based strategy for it.',
    exitCode: 78,
  },
  POLLER_HTTP_UNAVAILABLE: {
    cause: "The poller cannot listen on the address of poller.http: another program has it, or it is not this machine's.",
    remedy: 'Choose another poller.http.port (0 takes a free one) or host.',
    exitCode: 73,
  },
} as const satisfies Record<string, CatalogueEntry>;
