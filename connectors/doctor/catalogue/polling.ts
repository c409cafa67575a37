import type { FindingEntry } from './entry.ts';

const owner = 'owner of the table';
const editor = 'who edits pipeline.yaml';

/** What stands in the way of polling a table, or will be missed by it. */
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
    remedy: 'Name the tables beneath it in {setting}; a view can be polled in mode timestamp or bulk.',
    privilege: editor,
    blastRadius:
      'Mode incrementing has no fence on it, so the poller refuses to start; a publication cannot hold it, so the connector captures nothing of it.',
  },
  COLUMN_UNKNOWN: {
    scope: 'query',
    severity: 'error',
    cause: 'Table {table} has no column {column} ({setting}). {candidates}',
    remedy: 'Set {setting} of the table in poller.tables to a column that there is, or use the log-based strategy.',
    privilege: editor,
    blastRadius: 'The poller refuses to start.',
  },
  COLUMN_TYPE: {
    scope: 'query',
    severity: 'error',
    cause: 'Column {subject} ({setting}) has type {type}: {detail}.',
    remedy: '{advice}, or use the log-based strategy.',
    privilege: editor,
    blastRadius: 'The poller refuses to start.',
  },
  COLUMN_NULLABLE: {
    scope: 'query',
    severity: 'error',
    cause: 'Column {subject} ({setting}) may be null.',
    remedy:
      'UPDATE {sqlTable} SET {sqlColumn} = {filler} WHERE {sqlColumn} IS NULL; ALTER TABLE {sqlTable} ALTER COLUMN {sqlColumn} SET NOT NULL;',
    privilege: owner,
    blastRadius:
      'The poller refuses to start, because a row with null there would never be read. The remedy scans the table under ACCESS EXCLUSIVE: the application waits meanwhile, and an INSERT that leaves the column out fails from then on unless it has a default.',
  },
  COLUMN_UNINDEXED: {
    scope: 'query',
    severity: 'warning',
    cause: 'No index of {subject} begins with ({columns}).',
    remedy: 'CREATE INDEX CONCURRENTLY ON {sqlTable} ({sqlColumns});',
    privilege: owner,
    blastRadius:
      'Every poll reads and sorts the whole table ({size}): load on the server for as long as the poller runs. Building the index concurrently blocks nobody.',
  },
  KEY_MISSING: {
    scope: 'query',
    severity: 'error',
    cause: '{subject} has no primary key, and nothing else says what tells its rows apart.',
    remedy: 'Declare key in poller.tables: the columns that are unique and not null together.',
    privilege: editor,
    blastRadius: 'The poller refuses to start.',
  },
  ORDER_NOT_UNIQUE: {
    scope: 'query',
    severity: 'error',
    cause: 'No unique index says that ({columns}) names one row of {subject}.',
    remedy: 'CREATE UNIQUE INDEX CONCURRENTLY ON {sqlTable} ({sqlColumns}); or, if it is so, declare key in poller.tables.',
    privilege: owner,
    blastRadius:
      'The poller refuses to start, because rows that are equal there are lost between two pages. Building the index concurrently blocks nobody.',
  },
  IDS_NOT_ASCENDING: {
    scope: 'query',
    severity: 'error',
    cause: '{detail}, so that nothing says that the ids of {subject} ascend in the order in which they are drawn.',
    remedy:
      'Use a timestamp mode; or declare idsAscend: true in poller.tables, if each id is higher than all before it and drawn in the transaction that inserts it.',
    privilege: editor,
    blastRadius: 'The poller refuses to start, because a low id that commits late would never be read.',
  },
  UPDATES_INVISIBLE: {
    scope: 'query',
    severity: 'info',
    cause: 'Rows of {subject} are updated ({updates} since the statistics began), and mode incrementing sees new ids only.',
    remedy: 'Use a timestamp mode, or the log-based strategy for this table.',
    privilege: editor,
    blastRadius: 'Updated rows of {subject} stay in the read model as they were inserted.',
  },
  NO_FENCE: {
    scope: 'query',
    severity: 'warning',
    cause: '{subject} is {kind}: its rows do not say which transaction wrote them.',
    remedy: 'Poll the tables beneath it, or accept overlapMs: how long a row may commit after its timestamp and still be seen.',
    privilege: editor,
    blastRadius: 'A row that commits later than overlapMs after its timestamp is never published; rows within it are read again and again.',
  },
  POLLED_QUERY: {
    scope: 'query',
    severity: 'unknown',
    cause: '{subject} is polled by a SELECT of pipeline.yaml, about which the catalogue tells nothing.',
    remedy: 'Look at its plan: EXPLAIN the SELECT with a condition on its timestamp; then cdc poller start --once.',
    privilege: 'the role of the poller',
    blastRadius: 'Missing rights or columns show when the poller starts; a slow plan is a load at every poll.',
  },
  TIMESTAMP_NOT_MOVED: {
    scope: 'query',
    severity: 'warning',
    cause: 'Nothing in the database moves {subject} when a row is updated: {detail}.',
    remedy:
      'CREATE FUNCTION {sqlSchema}.{sqlTrigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.{sqlColumn} := now(); RETURN NEW; END $$; CREATE TRIGGER {sqlTrigger} BEFORE INSERT OR UPDATE ON {sqlTable} FOR EACH ROW EXECUTE FUNCTION {sqlSchema}.{sqlTrigger}();',
    privilege: owner,
    blastRadius:
      'Every UPDATE of {table} that does not set the column itself is never published: the read model keeps the old row for ever, without any error.',
  },
  TIMESTAMP_TRIGGER_UNCLEAR: {
    scope: 'query',
    severity: 'unknown',
    cause: 'A trigger may move {subject} on UPDATE, but it cannot be told for certain: {detail}.',
    remedy:
      'In a transaction that is rolled back, update one row of {table} and compare {column} before and after; in doubt, use the log-based strategy.',
    privilege: 'a role with UPDATE on the table',
    blastRadius: 'Updates that do not move the column are never published.',
  },
  SEQUENCE_CACHE: {
    scope: 'query',
    severity: 'info',
    cause: 'The sequence of {subject} hands out ids in blocks of {cache} per session, so ids do not grow in the order of inserts.',
    remedy: 'ALTER SEQUENCE {sqlSequence} CACHE 1; and let the application reconnect: sessions keep the blocks they have.',
    privilege: 'owner of the sequence',
    blastRadius:
      'None while a timestamp bounds the scan. In mode incrementing it is an error: the poller refuses to start, because an id from an old block may appear below what was read already.',
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
    blastRadius:
      "Latency and staleness are shown wrongly by as much. No row is lost by it: the poller measures time by the server's clock only.",
  },
  TRANSACTION_HOLDS_FLOOR: {
    scope: 'query',
    severity: 'warning',
    cause: '{who} has had a transaction open for {age}.',
    remedy:
      'Let its application commit, or: SELECT pg_terminate_backend({pid}); Set idle_in_transaction_session_timeout against the next one.',
    privilege: 'the same role, a member of pg_signal_backend, or a superuser',
    blastRadius:
      'The poller keeps reading from before that transaction on: each poll reads more rows again, and it remembers more keys. Ending the session rolls back its work.',
  },
  PREPARED_HOLDS_FLOOR: {
    scope: 'query',
    severity: 'warning',
    cause: 'Transaction {subject} of {owner} in database {database} has stood prepared for {age}.',
    remedy: 'In that database: COMMIT PREPARED {sqlGid}; or: ROLLBACK PREPARED {sqlGid};',
    privilege: 'the role that prepared it, or a superuser',
    blastRadius: 'The poller keeps reading from before it on, each poll more; VACUUM removes no row version newer than it.',
  },
} as const satisfies Record<string, FindingEntry>;
