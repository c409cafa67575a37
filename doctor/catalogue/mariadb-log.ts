import type { FindingEntry } from './entry.ts';

const dba = 'the DBA';
const editor = 'who edits the connector file';
const again = 'cdc connectors offsets reset {connector} (a new snapshot of the tables).';

/** The binlog of a MariaDB, and what a connector needs to read it. */
export const mariadbLogFindings = {
  BINLOG_OFF: {
    scope: 'log',
    severity: 'error',
    cause: 'The server {subject} writes no binlog (log_bin is OFF).',
    remedy: 'In the configuration file: log_bin, binlog_format=ROW, binlog_row_image=FULL; then restart the server.',
    privilege: 'the DBA, and a restart of the server',
    blastRadius: 'The connector cannot start. The restart ends all sessions. From then on each write also goes to the binlog.',
  },
  BINLOG_FORMAT: {
    scope: 'log',
    severity: 'error',
    cause: 'The setting binlog_format is {value}: the binlog has statements instead of rows.',
    remedy: 'SET GLOBAL binlog_format = ROW; and in the configuration file. Open sessions keep the old value until they reconnect.',
    privilege: dba,
    blastRadius: 'The connector refuses to start, or misses what sessions log as statements.',
  },
  BINLOG_ROW_IMAGE: {
    scope: 'log',
    severity: 'error',
    cause: 'The setting binlog_row_image is {value}: changes are logged without the columns that did not change.',
    remedy: 'SET GLOBAL binlog_row_image = FULL; and in the configuration file. Open sessions keep the old value.',
    privilege: dba,
    blastRadius: 'The connector refuses to start. Otherwise events would lack columns, which readers take for null.',
  },
  BINLOG_KEPT_BRIEFLY: {
    scope: 'log',
    severity: 'warning',
    cause: 'The server keeps its binlog for only {age} (binlog_expire_logs_seconds), and nothing keeps it for a connector that is down.',
    remedy: 'SET GLOBAL binlog_expire_logs_seconds = 604800; and in the configuration file: longer than a connector may ever be down.',
    privilege: dba,
    blastRadius:
      'A connector that is down for longer loses changes and needs a new snapshot. A longer time costs disk space on the server.',
  },
  BINLOG_FILTERED: {
    scope: 'log',
    severity: 'error',
    cause: 'The server leaves database {subject} out of its binlog ({detail}).',
    remedy: 'Remove binlog_do_db and binlog_ignore_db from the configuration file; then restart the server.',
    privilege: 'the DBA, and a restart of the server',
    blastRadius: 'The snapshot reads the tables. After that none of their changes arrives, without any error.',
  },
  BINLOG_LOST: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} cannot continue: {detail}.',
    remedy: again,
    privilege: 'who operates Kafka Connect',
    blastRadius: 'These changes are missing in Kafka. Rows deleted meanwhile stay in the read model until it is rebuilt.',
  },
  BINLOG_POSITION_UNKNOWN: {
    scope: 'log',
    severity: 'unknown',
    cause: 'It is unknown whether the server still has the changes after the position of connector {subject}: {detail}.',
    remedy:
      'GRANT BINLOG MONITOR ON *.* TO {sqlAccount}; or, after a failover, check whether the connector continues: cdc connectors status',
    privilege: dba,
    blastRadius: 'If they have been purged, changes are lost.',
  },
  GTID_STRICT_OFF: {
    scope: 'log',
    severity: 'warning',
    cause: 'Connector {connector} sets {keys}, and gtid_strict_mode of the server is OFF.',
    remedy: 'SET GLOBAL gtid_strict_mode = ON; on every server that may take over, and in its configuration file.',
    privilege: dba,
    blastRadius:
      'Servers may give one number to two transactions. After a failover the connector may then continue at the wrong place. With the setting, a replica that has diverged stops instead.',
  },
  SERVER_ID_CLASH: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} uses the server id {value} (database.server.id), which is that of {other}.',
    remedy: 'Give it a database.server.id that no server, replica or other connector of this source has.',
    privilege: editor,
    blastRadius: 'Whenever one of the two connects, the server ends the connection of the other. That may be a replica of your own.',
  },
  GLOBAL_RIGHT_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'Account {subject} lacks {right}: {detail}.',
    remedy: 'GRANT {right} ON *.* TO {sqlAccount}; or cdc connectors prepare.',
    privilege: dba,
    blastRadius: 'The connector fails as soon as it needs the right. REPLICATION SLAVE allows reading every change of the server.',
  },
  DATABASE_NOT_INCLUDED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {connector} names {subject}, but its database.include.list leaves database {database} out.',
    remedy: 'Add {database} to database.include.list.',
    privilege: editor,
    blastRadius:
      'Nothing of {subject} is captured, without any error. If it is the heartbeat or signal table, heartbeats or signals never arrive.',
  },
  TABLE_KEYLESS: {
    scope: 'log',
    severity: 'warning',
    cause: '{subject} has no primary key.',
    remedy: 'ALTER TABLE {sqlTable} ADD PRIMARY KEY (…); or name unique columns in message.key.columns of the connector file.',
    privilege: 'owner of the table',
    blastRadius:
      'Its events have no key. The read model cannot apply them, changes of one row may come out of order, and cdc connectors snapshot cannot read it again.',
  },
  COLUMN_UNREADABLE: {
    scope: 'log',
    severity: 'error',
    cause: 'Column {subject} has type {type}, which Debezium’s connector (3.5.0) cannot read.',
    remedy: 'Poll this table, or ALTER TABLE {sqlTable} MODIFY {sqlColumn} varchar(45);',
    privilege: 'owner of the table',
    blastRadius: 'The connector fails at its snapshot, for all its tables. The remedy rewrites the table and blocks writes meanwhile.',
  },
  HEARTBEAT_OFF: {
    scope: 'log',
    severity: 'warning',
    cause: 'Connector {subject} has no heartbeat: {detail}.',
    remedy:
      'Set heartbeat.interval.ms = 5000 and heartbeat.action.query = UPDATE cdc.heartbeat SET beat_at = CURRENT_TIMESTAMP(6) WHERE id = 1.',
    privilege: editor,
    blastRadius:
      'While the captured tables are quiet and others are written, the position does not move. The binlog after it is purged when its retention time is over.',
  },
  HEARTBEAT_TABLE_UNUSABLE: {
    scope: 'log',
    severity: 'error',
    cause: 'The heartbeat table {subject} of connector {connector} cannot be used: {detail}.',
    remedy:
      'cdc connectors prepare; or as the DBA connectors/sql/mariadb: it creates the table and its row, and has GRANT SELECT, UPDATE (beat_at).',
    privilege: dba,
    blastRadius: 'The connector fails at its first heartbeat, or its position does not move while the captured tables are quiet.',
  },
  SIGNAL_TABLE_UNUSABLE: {
    scope: 'log',
    severity: 'warning',
    cause: 'The signal table {subject} of connector {connector} cannot be used: {detail}.',
    remedy: 'cdc connectors prepare; or as the DBA connectors/sql/mariadb: it creates the table, and has GRANT INSERT.',
    privilege: dba,
    blastRadius: 'Capture runs, but a snapshot that is requested by signal (cdc connectors snapshot) never begins.',
  },
  CONNECTOR_NOT_MARIADB: {
    scope: 'log',
    severity: 'unknown',
    cause: 'Connector {subject} ({detail}) is not a MariaDB connector. Its source was not checked.',
    remedy: 'Ask the server: cdc connectors validate {connector}',
    privilege: 'who operates Kafka Connect',
    blastRadius: 'Whether that source is ready is not known.',
  },
} as const satisfies Record<string, FindingEntry>;
