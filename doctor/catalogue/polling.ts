import type { FindingEntry } from './entry.ts';

const editor = 'who edits pipeline.yaml';

/** What prevents polling a table, or will be missed by it. */
export const pollingFindings = {
  TABLE_UNKNOWN: {
    scope: 'either',
    severity: 'error',
    cause: 'Table {subject} does not exist in database {database}.{hint}',
    remedy: 'Correct {setting}, or create the table.',
    privilege: editor,
    blastRadius: 'The strategy does not start, or captures nothing of {subject}.',
  },
  TABLE_KIND: {
    scope: 'either',
    severity: 'error',
    cause: '{subject} is {kind}, not a table with rows of its own.',
    remedy: 'Name the tables beneath it in {setting}. A view can be polled in mode timestamp or bulk.',
    privilege: editor,
    blastRadius:
      'It has no fence for mode incrementing, so the poller refuses it. A publication cannot contain it, so the connector captures nothing of it.',
  },
  COLUMN_UNINDEXED: {
    scope: 'query',
    severity: 'warning',
    cause: 'No index of {subject} begins with ({columns}).',
    remedy: '{createIndexStatements}',
    privilege: 'owner of the table, with CREATE on its schema',
    blastRadius:
      'Every poll reads and sorts the whole table ({size}), as long as the poller runs. An index that is built concurrently blocks nobody; run its statement by itself, outside a transaction. The index of a partitioned table only attaches those of its partitions, and blocks writers for an instant. An index makes each update of its columns write more.',
  },
  PATTERN_TAKES_NONE: {
    scope: 'query',
    severity: 'warning',
    cause: 'No table matches {subject}.',
    remedy: 'Correct the pattern in poller.tables, or leave it: a table that is created later is polled.',
    privilege: editor,
    blastRadius: 'Nothing is polled by this entry until a table matches.',
  },
  CHILDREN_NOT_POLLED: {
    scope: 'query',
    severity: 'warning',
    cause: '{subject} is polled without the rows of {children}, which inherits from it and is not polled.',
    remedy: 'Add {children} to poller.tables, if you want its rows.',
    privilege: editor,
    blastRadius: 'Rows of {children} are not published, although a SELECT from {subject} shows them.',
  },
  UPDATES_INVISIBLE: {
    scope: 'query',
    severity: 'info',
    cause: 'Rows of {subject} are updated ({updates} since the statistics began), and mode incrementing sees new ids only.',
    remedy: 'Use a timestamp mode, or the log-based strategy for this table.',
    privilege: editor,
    blastRadius: 'Rows of {subject} stay in the read model as they were inserted.',
  },
  NO_FENCE: {
    scope: 'query',
    severity: 'warning',
    cause: '{subject} is {kind}: its rows do not show which transaction wrote them.',
    remedy:
      'Poll the tables beneath it, or accept the limit of overlapMs: how late a row may commit after its timestamp and still be seen.',
    privilege: editor,
    blastRadius:
      'A row that commits later than overlapMs after its timestamp is never published. Rows within the window are read at every poll.',
  },
  POLLED_QUERY: {
    scope: 'query',
    severity: 'unknown',
    cause: '{subject} is polled by a SELECT in pipeline.yaml, and the catalogue says nothing about it.',
    remedy: 'Check its plan: EXPLAIN the SELECT with a condition on its timestamp. Then run cdc poller start --once.',
    privilege: 'the role of the poller',
    blastRadius: 'Missing rights or columns show when the poller starts. A slow plan costs time at every poll.',
  },
  TIMESTAMP_NOT_MOVED: {
    scope: 'query',
    severity: 'warning',
    cause: 'Nothing in the database moves {subject} when a row is updated: {detail}.',
    remedy: '{triggerOrAnotherWay}',
    privilege: '{ownerOrEditor}',
    blastRadius:
      'An UPDATE of {table} that does not set the column itself is never published: the read model keeps the old row for ever, without any error. A trigger is proposed only for a column that says when its row was last changed. It does not change a value that an UPDATE sets itself.',
  },
  TIMESTAMP_TRIGGER_UNCLEAR: {
    scope: 'query',
    severity: 'unknown',
    cause: 'A trigger may move {subject} on UPDATE, but this is not certain: {detail}.',
    remedy:
      'Update one row of {table} in a transaction, compare {column} before and after, and roll back. If in doubt, use the log-based strategy.',
    privilege: 'a role with UPDATE on the table',
    blastRadius: 'Updates that do not move the column are never published.',
  },
  SEQUENCE_CACHE: {
    scope: 'query',
    severity: 'info',
    cause: 'The sequence of {subject} hands out ids in blocks of {cache} per session, so ids do not grow in the order of inserts.',
    remedy: 'ALTER SEQUENCE {sqlSequence} CACHE 1;\nThen let the application reconnect: its sessions keep the blocks they have.',
    privilege: 'owner of the sequence',
    blastRadius: 'None in a timestamp mode. In mode incrementing the poller refuses it (SEQUENCE_UNFIT).',
  },
  DELETES_INVISIBLE: {
    scope: 'query',
    severity: 'info',
    cause: 'Rows of {subject} are deleted ({deletes} since the statistics began), and a query cannot see that.',
    remedy: 'Use the log-based strategy for this table, or the key sweep.',
    privilege: editor,
    blastRadius: 'Deleted rows of {subject} stay in the read model as ghosts.',
  },
  CLOCK_OFFSET: {
    scope: 'query',
    severity: 'warning',
    cause: "The clock of {subject} is {offset} {direction} this host's.",
    remedy: 'Synchronise both clocks (chrony, systemd-timesyncd); timedatectl shows the state.',
    privilege: 'operator of the hosts',
    blastRadius: "Latency and staleness are wrong by as much. No row is lost: the poller uses the server's clock only.",
  },
  TRANSACTION_HOLDS_FLOOR: {
    scope: 'query',
    severity: 'warning',
    cause: '{who} has had a transaction open for {age}.',
    remedy:
      'Let its application commit. Whoever is responsible for the session (pid {pid}) may end it with pg_terminate_backend: its statements then fail.',
    privilege: 'who is responsible for the application; to end it: the same role, a member of pg_signal_backend, or a superuser',
    blastRadius:
      'The poller keeps reading from before that transaction on. Each poll reads more rows again, and the poller remembers more keys. Ending the session rolls back its work.',
  },
  PREPARED_HOLDS_FLOOR: {
    scope: 'query',
    severity: 'warning',
    cause: 'Transaction {subject} of {owner} in database {database} has been prepared for {age}.',
    remedy: 'In that database: COMMIT PREPARED {sqlGid}; or: ROLLBACK PREPARED {sqlGid};',
    privilege: 'the role that prepared it, or a superuser',
    blastRadius: 'The poller keeps reading from before it on, more at each poll. VACUUM removes no row version newer than it.',
  },
} as const satisfies Record<string, FindingEntry>;
