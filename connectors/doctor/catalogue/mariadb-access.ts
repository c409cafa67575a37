import type { FindingEntry } from './entry.ts';

const dba = 'the DBA';
const editor = 'who edits pipeline.yaml';

/** Reaching a MariaDB, and what an account may do and see there. */
export const mariadbAccessFindings = {
  LOGIN_REFUSED: {
    scope: 'either',
    severity: 'error',
    cause: 'The server refuses the login of {subject}: {detail}.',
    remedy:
      "Correct legacyDb.roles; or: CREATE USER {sqlAccount} IDENTIFIED BY '…'; (host part: from where it connects). Accounts with the plugin ed25519 cannot log in.",
    privilege: dba,
    blastRadius: 'This strategy does not start; nothing that only this account may see could be examined.',
  },
  PROBE_REFUSED: {
    scope: 'either',
    severity: 'unknown',
    cause: 'Account {role} could not look at {subject}: {detail}.',
    remedy: 'Run it again when the server is less busy; rights that are missing are told by findings of their own.',
    privilege: dba,
    blastRadius: 'What this look would have shown is not known; it is not known to be well.',
  },
  TABLE_UNKNOWN: {
    scope: 'either',
    severity: 'error',
    cause: 'Table {subject} does not exist.{hint}',
    remedy: 'Correct {setting}, or create the table.',
    privilege: editor,
    blastRadius: 'The poller does not start; a connector passes over it in silence and captures nothing of {subject}.',
  },
  SELECT_MISSING: {
    scope: 'either',
    severity: 'error',
    cause: 'Account {role} may not read {subject}: the right SELECT is missing, or there is no such table (the server does not say which).',
    remedy: 'GRANT SELECT{sqlColumns} ON {sqlTable} TO {sqlAccount};',
    privilege: 'the DBA, or whoever may grant it on the table',
    blastRadius: 'The poller does not start; a connector passes over the table in silence: nothing of {subject} is captured.',
  },
  TABLE_KIND: {
    scope: 'either',
    severity: 'error',
    cause: '{subject} is {kind}, not a table with rows of its own.',
    remedy: 'Name the tables beneath it in {setting}; a view can be polled in mode timestamp or bulk.',
    privilege: editor,
    blastRadius: 'The binlog has no changes of it, so a connector captures nothing; the poller cannot poll it by ids alone.',
  },
  SOURCE_IS_REPLICA: {
    scope: 'either',
    severity: 'warning',
    cause: 'The server {subject} {detail}.',
    remedy: 'Point legacyDb.host (and the connector’s database.hostname) at the primary; or set overlapMs above its largest lag.',
    privilege: editor,
    blastRadius:
      'For the poller its lag counts like a late commit: what comes later than overlapMs is lost. A connector cannot write its heartbeat and signals where the server is read_only, and sees what is replicated only with log_slave_updates.',
  },
  ZERO_DATES: {
    scope: 'either',
    severity: 'warning',
    cause: 'Column {subject} holds dates that are none ({detail}).',
    remedy: 'UPDATE {sqlTable} SET {sqlColumn} = NULL WHERE …; and set sql_mode to refuse them (NO_ZERO_DATE, NO_ZERO_IN_DATE).',
    privilege: 'owner of the table; the setting: the DBA',
    blastRadius:
      'They are published as null, or as 1970-01-01 where the column is NOT NULL; for a nullable timestamp Debezium says the one in its snapshot and the other in its stream. As timestampColumn such rows are not polled in order.',
  },
} as const satisfies Record<string, FindingEntry>;
