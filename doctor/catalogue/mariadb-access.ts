import type { FindingEntry } from './entry.ts';

const dba = 'the DBA';
const editor = 'who edits pipeline.yaml';

/** Reaching a MariaDB, and what an account may do and see there. */
export const mariadbAccessFindings = {
  LEGACY_LOGIN_REFUSED: {
    scope: 'either',
    severity: 'error',
    cause: 'The server refuses the login of {subject}: {detail}.',
    remedy:
      "Correct legacyDb.roles; or: CREATE USER {sqlAccount} IDENTIFIED BY '…'; (host part: from where it connects). Accounts with the plugin ed25519 cannot log in.",
    privilege: dba,
    blastRadius: 'This strategy does not start. What only this account may see could not be checked.',
  },
  PROBE_REFUSED: {
    scope: 'either',
    severity: 'unknown',
    cause: 'Account {role} could not read {subject}: {detail}.',
    remedy: 'Run it again when the server is less busy. Missing rights are findings of their own.',
    privilege: dba,
    blastRadius: 'What this check would have shown is not known. It may be a problem.',
  },
  TABLE_UNKNOWN: {
    scope: 'either',
    severity: 'error',
    cause: 'Table {subject} does not exist.{hint}',
    remedy: 'Correct {setting}, or create the table.',
    privilege: editor,
    blastRadius: 'The poller does not start. A connector passes over it in silence and captures nothing of {subject}.',
  },
  SELECT_MISSING: {
    scope: 'either',
    severity: 'error',
    cause: 'Account {role} may not read {subject}: the right SELECT is missing, or there is no such table (the server does not say which).',
    remedy: 'GRANT SELECT{sqlColumns} ON {sqlTable} TO {sqlAccount};',
    privilege: 'the DBA, or whoever may grant it on the table',
    blastRadius: 'The poller does not start. A connector passes over the table in silence and captures nothing of {subject}.',
  },
  TABLE_KIND: {
    scope: 'either',
    severity: 'error',
    cause: '{subject} is {kind}, not a table with rows of its own.',
    remedy: 'Name the tables beneath it in {setting}. A view can be polled in mode timestamp or bulk.',
    privilege: editor,
    blastRadius: 'The binlog has no changes of it, so a connector captures nothing. The poller cannot poll it in mode incrementing.',
  },
  SOURCE_IS_REPLICA: {
    scope: 'either',
    severity: 'warning',
    cause: 'The server {subject} {detail}.',
    remedy: 'Point legacyDb.host (and the connector’s database.hostname) at the primary; or set overlapMs above its largest lag.',
    privilege: editor,
    blastRadius:
      'For the poller, its lag counts like a late commit: a row that comes later than overlapMs is lost. If the server is read_only, a connector cannot write its heartbeat and signals. It sees replicated changes only with log_slave_updates.',
  },
  ZERO_DATES: {
    scope: 'either',
    severity: 'warning',
    cause: 'Column {subject} has invalid dates ({detail}).',
    remedy:
      'Let the application write NULL, or a valid date, into {sqlColumn} of {sqlTable}. Do not set sql_mode to refuse them: its statements would fail.',
    privilege: 'who is responsible for the application',
    blastRadius:
      'They are published as null, or as 1970-01-01 if the column is NOT NULL. For a nullable timestamp Debezium has null in its snapshot and 1970-01-01 in its stream. In a timestampColumn, such rows are not polled in order.',
  },
} as const satisfies Record<string, FindingEntry>;
