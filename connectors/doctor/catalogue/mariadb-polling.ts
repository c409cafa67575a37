import type { FindingEntry } from './entry.ts';

const owner = 'owner of the table';
const editor = 'who edits pipeline.yaml';

/** What stands in the way of polling a table of a MariaDB, or will be missed by it beyond what an overlap window misses. */
export const mariadbPollingFindings = {
  COLUMN_NULLABLE: {
    scope: 'query',
    severity: 'error',
    cause: 'Column {subject} ({setting}) may be null.',
    remedy: 'UPDATE {sqlTable} SET {sqlColumn} = … WHERE {sqlColumn} IS NULL; ALTER TABLE {sqlTable} MODIFY {sqlColumn} {type} NOT NULL …;',
    privilege: owner,
    blastRadius:
      'The poller refuses to start, because a row with null there would never be read. The remedy may rewrite the table; MODIFY drops what it does not repeat (DEFAULT, ON UPDATE).',
  },
  COLUMN_UNINDEXED: {
    scope: 'query',
    severity: 'warning',
    cause: 'No index of {subject} begins with ({columns}).',
    remedy: 'ALTER TABLE {sqlTable} ADD INDEX ({sqlColumns}), ALGORITHM=INPLACE, LOCK=NONE;',
    privilege: owner,
    blastRadius: 'Every poll reads and sorts the whole table: load on the server for as long as the poller runs.',
  },
  ORDER_NOT_UNIQUE: {
    scope: 'query',
    severity: 'error',
    cause: 'No unique index says that ({columns}) names one row of {subject}.',
    remedy: 'ALTER TABLE {sqlTable} ADD UNIQUE INDEX ({sqlColumns}); or, if it is so, declare key in poller.tables.',
    privilege: owner,
    blastRadius: 'The poller refuses to start, because rows that are equal there are lost between two pages.',
  },
  TIMESTAMP_NOT_MOVED: {
    scope: 'query',
    severity: 'warning',
    cause: 'Nothing in the database moves {subject} when a row is updated: {detail}.',
    remedy: 'ALTER TABLE {sqlTable} MODIFY {sqlColumn} timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6);',
    privilege: owner,
    blastRadius:
      'Every UPDATE of {table} that does not set the column itself is never published: the read model keeps the old row for ever, without any error. The remedy may rewrite the table.',
  },
  TIMESTAMP_TRIGGER_UNCLEAR: {
    scope: 'query',
    severity: 'unknown',
    cause: 'Whether the database moves {subject} on UPDATE cannot be told: {detail}.',
    remedy:
      'As the owner: SHOW CREATE TABLE {sqlTable}; SHOW TRIGGERS; a column that says ON UPDATE current_timestamp is told at once. Or GRANT TRIGGER ON {sqlTable} TO {sqlAccount}; for the time of the examination.',
    privilege: owner,
    blastRadius: 'Updates that do not move the column are never published.',
  },
  TIME_ZONE_DIFFERS: {
    scope: 'query',
    severity: 'warning',
    cause: 'The server’s time zone ({server}) is not timeZone of poller.tables ({configured}), and the server itself writes {subject}.',
    remedy:
      'Set timeZone to the zone in which the column is written: the server’s, unless every session of the application sets its own time_zone.',
    privilege: editor,
    blastRadius:
      'Times are read as others than they are: rows lie hours outside the overlap window and are missed, or are read again for hours.',
  },
  TRANSACTION_OUTLASTS_WINDOW: {
    scope: 'query',
    severity: 'warning',
    cause: '{who} has had a transaction open for {age} in which it has written: longer than overlapMs of {tables}.',
    remedy: 'Let its owner end it, or {sqlEnd} and raise overlapMs above what the longest transaction takes; or capture by the log.',
    privilege: 'owner of the session, or the DBA; overlapMs: who edits pipeline.yaml',
    blastRadius:
      'Rows of these tables that it has written are never published when it commits now: their times are behind the window. No error tells of it.',
  },
} as const satisfies Record<string, FindingEntry>;
