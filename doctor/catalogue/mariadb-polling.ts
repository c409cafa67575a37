import type { FindingEntry } from './entry.ts';

const owner = 'owner of the table';
const editor = 'who edits pipeline.yaml';

/** What prevents polling a table of a MariaDB, or will be missed by it beyond what an overlap window misses. */
export const mariadbPollingFindings = {
  COLUMN_UNINDEXED: {
    scope: 'query',
    severity: 'warning',
    cause: 'No index of {subject} begins with ({columns}).',
    remedy: '{createIndexStatements}',
    privilege: owner,
    blastRadius: 'Every poll reads and sorts the whole table, as long as the poller runs. The index is built while the application writes.',
  },
  TIMESTAMP_NOT_MOVED: {
    scope: 'query',
    severity: 'warning',
    cause: 'Nothing in the database moves {subject} when a row is updated: {detail}.',
    remedy: '{triggerOrAnotherWay}',
    privilege: owner,
    blastRadius:
      'An UPDATE of {table} that does not set the column itself is never published: the read model keeps the old row for ever, without any error. The remedy adds a column that SELECT * does not show and INSERT need not name.',
  },
  TIMESTAMP_TRIGGER_UNCLEAR: {
    scope: 'query',
    severity: 'unknown',
    cause: 'It is unknown whether the database moves {subject} on UPDATE: {detail}.',
    remedy:
      'As the owner: SHOW CREATE TABLE {sqlTable}; SHOW TRIGGERS; a column with ON UPDATE current_timestamp is fine. Or GRANT TRIGGER ON {sqlTable} TO {sqlAccount}; until doctor is done.',
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
    blastRadius: 'Times are misread: rows are hours outside the overlap window and are missed, or are read again for hours.',
  },
  TRANSACTION_OUTLASTS_WINDOW: {
    scope: 'query',
    severity: 'warning',
    cause: '{who} has had a transaction open for {age} in which it has written: longer than overlapMs of {tables}.',
    remedy:
      'Let its application end it, and raise overlapMs above the longest transaction. Or capture the log. Whoever is responsible for it may end it ({sqlEnd}): its statements then fail.',
    privilege: 'owner of the session, or the DBA; overlapMs: who edits pipeline.yaml',
    blastRadius:
      'If it commits now, its rows in these tables are never published, because their times are behind the window. There is no error.',
  },
} as const satisfies Record<string, FindingEntry>;
