import type { FindingEntry } from './entry.ts';

const editor = 'who edits the connector file';
const operator = 'who operates Kafka Connect';

/** Kafka Connect and the connector files. */
export const connectFindings = {
  CONNECT_UNREACHABLE: {
    scope: 'log',
    severity: 'error',
    cause: 'Kafka Connect at {subject} does not answer: {detail}.',
    remedy: 'Start it (cdc stack up), or correct connect.url, connect.username and connect.password.',
    privilege: operator,
    blastRadius: 'No connector can be applied. Whether one runs, has failed or has lost its position is not known.',
  },
  CONNECT_OPEN: {
    scope: 'log',
    severity: 'warning',
    cause: 'Kafka Connect at {subject} answers anyone, without a login.',
    remedy:
      'Give it one: rest.extension.classes=org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension (docs/log-based.md), then connect.username and connect.password. Restrict its address to those who need it.',
    privilege: operator,
    blastRadius:
      "Anyone who reaches it can make its worker send the replicator's password to their own server, change connectors and delete their positions.",
  },
  SOURCE_TLS_OPTIONAL: {
    scope: 'log',
    severity: 'warning',
    cause: 'Connector {subject} does not insist on TLS to {host} ({setting} is {value}).',
    remedy:
      'Set {setting} in its file: for Postgres verify-full (with database.sslrootcert) or require, for MariaDB and MySQL verify_identity or required; then cdc connectors apply.',
    privilege: editor,
    blastRadius: "Anyone between the worker and the database can read the rows and the replicator's login.",
  },
  CONNECTOR_UNREADABLE: {
    scope: 'log',
    severity: 'unknown',
    cause: 'Kafka Connect gives no answer about connector {subject}: {detail}.',
    remedy: 'Run cdc doctor again in a moment (a worker may be starting or rebalancing); cdc connectors status {connector}',
    privilege: operator,
    blastRadius: 'Whether it runs, has failed or has lost its position is not known.',
  },
  CONNECTOR_NONE: {
    scope: 'log',
    severity: 'error',
    cause: '{subject} lists no connector file, so no table is captured from the log.',
    remedy: 'List the files, for example connect.connectors: [connectors/legacy-orders.json].',
    privilege: 'who edits pipeline.yaml',
    blastRadius: 'Nothing is captured from the log.',
  },
  CONNECTOR_FILE_UNUSABLE: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector file {subject} cannot be used: {detail}.',
    remedy: 'Correct the file; connectors/legacy-orders.json is an example.',
    privilege: editor,
    blastRadius: 'Its tables were not checked and are not captured.',
  },
  CONNECTOR_NOT_POSTGRES: {
    scope: 'log',
    severity: 'unknown',
    cause: 'Connector {subject} ({detail}) is not a Postgres connector. Its source was not checked.',
    remedy: 'Ask the server: cdc connectors validate {connector}',
    privilege: operator,
    blastRadius: 'Whether that source is ready is not known.',
  },
  TABLES_BY_PATTERN: {
    scope: 'log',
    severity: 'unknown',
    cause: 'The tables of connector {subject} are not known: {detail}.',
    remedy: 'Name each table in table.include.list as schema.table.',
    privilege: editor,
    blastRadius: 'Its tables were not checked.',
  },
  TOPIC_UNFIT: {
    scope: 'either',
    severity: 'error',
    cause: 'Table {subject} {detail}.',
    remedy: 'Change poller.tables or table.include.list: {advice}',
    privilege: 'who edits pipeline.yaml and the connector file',
    blastRadius:
      'The poller leaves it out (unless it was polled before), and cdc connectors apply refuses the connector. Otherwise rows of different tables with one key would overwrite each other in consumers.',
  },
  CONNECTOR_SETTINGS_REFUSED: {
    scope: 'log',
    severity: 'error',
    cause: 'Kafka Connect would refuse connector {subject}: {detail}.',
    remedy: 'Correct the settings in its file, then cdc connectors validate {connector}',
    privilege: editor,
    blastRadius: 'cdc connectors apply refuses it and changes nothing.',
  },
  CONNECTOR_FAILED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} is FAILED: {detail}.',
    remedy: 'Remove the cause, then cdc connectors restart --only-failed {connector}',
    privilege: operator,
    blastRadius:
      'Nothing is captured. Meanwhile its slot keeps WAL on the legacy server (MariaDB purges its binlog after its retention time).',
  },
  TASK_FAILED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} shows {state}, but its task {task} is FAILED: {detail}.',
    remedy: 'Remove the cause, then cdc connectors restart --only-failed {connector}',
    privilege: operator,
    blastRadius:
      'Nothing is captured, though the connector looks healthy. Meanwhile its slot keeps WAL on the legacy server (MariaDB purges its binlog after its retention time).',
  },
  CONNECTOR_STALLED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} shows {state} and no FAILED task, but it does not move: {detail}.',
    remedy:
      "Check in this order, and remove the cause. Who blocks the UPDATE of its heartbeat: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE wait_event_type = 'Lock'; (MariaDB: SHOW FULL PROCESSLIST;). Whether Kafka takes writes (see Connect's log). Who else reads its slot. Otherwise its task hangs: cdc connectors restart {connector}",
    privilege: `${operator}; the role whose session blocks, or a member of pg_signal_backend`,
    blastRadius:
      'Nothing is captured, though everything looks healthy. Meanwhile its slot keeps WAL on the legacy server (MariaDB purges its binlog after its retention time).',
  },
  CONNECTOR_HALTED: {
    scope: 'log',
    severity: 'warning',
    cause: 'Connector {subject} is {state}.',
    remedy: 'cdc connectors resume {connector}',
    privilege: operator,
    blastRadius:
      'Nothing is captured. Meanwhile its slot keeps WAL on the legacy server (MariaDB purges its binlog after its retention time).',
  },
  CONNECTOR_DIFFERS: {
    scope: 'log',
    severity: 'info',
    cause: 'Connector {subject} runs with settings that differ from its file: {keys}.',
    remedy: 'cdc connectors plan {connector}; then cdc connectors apply {connector}',
    privilege: operator,
    blastRadius: 'Doctor checked the file. The running connector may behave differently.',
  },
  TOPIC_PREFIX_DIFFERS: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} writes topics {prefix}.…, but connect.topicPrefix is {expected}.',
    remedy: 'Make topic.prefix of the connector file and connect.topicPrefix of pipeline.yaml equal.',
    privilege: editor,
    blastRadius: 'Read model and comparison wait for topics that nobody writes to.',
  },
  CONNECTOR_DATABASE_DIFFERS: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} captures {setting} = {value}, but legacyDb says {expected}.',
    remedy: 'Make the connector file and legacyDb agree. References such as ${env:LEGACY_DB_NAME} keep them together.',
    privilege: editor,
    blastRadius: 'The connector captures another database than the one that doctor checked.',
  },
} as const satisfies Record<string, FindingEntry>;
