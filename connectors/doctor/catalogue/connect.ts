import type { FindingEntry } from './entry.ts';

const editor = 'who edits the connector file';
const operator = 'who operates Kafka Connect';

/** Kafka Connect and the connector files. */
export const connectFindings = {
  CONNECT_UNREACHABLE: {
    scope: 'log',
    severity: 'error',
    cause: 'Kafka Connect at {subject} could not be asked: {detail}.',
    remedy: 'Start it (cdc stack up), or correct connect.url, connect.username and connect.password.',
    privilege: operator,
    blastRadius: 'No connector can be applied; whether one runs, has failed or lost its position is not known.',
  },
  CONNECTOR_UNREADABLE: {
    scope: 'log',
    severity: 'unknown',
    cause: 'Kafka Connect answers, but not about connector {subject}: {detail}.',
    remedy: 'Run cdc doctor again in a moment (a worker may be starting or rebalancing); cdc connectors status {connector}',
    privilege: operator,
    blastRadius: 'Whether it runs, has failed or lost its position is not known.',
  },
  CONNECTOR_NONE: {
    scope: 'log',
    severity: 'error',
    cause: '{subject} names no connector file, so no table is captured from the log.',
    remedy: 'List the files there: connect.connectors: [connectors/legacy-orders.json].',
    privilege: 'who edits pipeline.yaml',
    blastRadius: 'Nothing is captured from the log.',
  },
  CONNECTOR_FILE_UNUSABLE: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector file {subject} cannot be used: {detail}.',
    remedy: 'Correct the file; connectors/legacy-orders.json is an example.',
    privilege: editor,
    blastRadius: 'Its tables were not examined and are not captured.',
  },
  CONNECTOR_NOT_POSTGRES: {
    scope: 'log',
    severity: 'unknown',
    cause: 'Connector {subject} ({detail}) is not one for Postgres: its source was not examined.',
    remedy: 'Ask the server: cdc connectors validate {connector}',
    privilege: operator,
    blastRadius: 'Whether that source is ready is not known.',
  },
  TABLES_BY_PATTERN: {
    scope: 'log',
    severity: 'unknown',
    cause: 'The tables of connector {subject} cannot be told: {detail}.',
    remedy: 'Name each table in table.include.list as schema.table.',
    privilege: editor,
    blastRadius: 'Its tables were not examined.',
  },
  CONNECTOR_SETTINGS_REFUSED: {
    scope: 'log',
    severity: 'error',
    cause: 'Kafka Connect would not take connector {subject}: {detail}.',
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
      'Nothing is captured, and its slot keeps WAL on the legacy server meanwhile (a MariaDB purges its binlog when its time is over).',
  },
  TASK_FAILED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} shows {state}, but its task {task} is FAILED: {detail}.',
    remedy: 'Remove the cause, then cdc connectors restart --only-failed {connector}',
    privilege: operator,
    blastRadius:
      'Nothing is captured though the connector looks well, and its slot keeps WAL on the legacy server meanwhile (a MariaDB purges its binlog when its time is over).',
  },
  CONNECTOR_STALLED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} shows {state} and no FAILED task, but it does not move: {detail}.',
    remedy:
      "Look in this order, and remove what it is. Who blocks its heartbeat's UPDATE: SELECT pid, pg_blocking_pids(pid), query FROM pg_stat_activity WHERE wait_event_type = 'Lock'; (MariaDB: SHOW FULL PROCESSLIST;). Whether Kafka takes writes (Connect's log tells). Who else reads its slot. Else its task hangs: cdc connectors restart {connector}",
    privilege: `${operator}; the role whose session blocks, or a member of pg_signal_backend`,
    blastRadius:
      'Nothing is captured though everything looks well, and its slot keeps WAL on the legacy server meanwhile (a MariaDB purges its binlog when its time is over).',
  },
  CONNECTOR_HALTED: {
    scope: 'log',
    severity: 'warning',
    cause: 'Connector {subject} is {state}.',
    remedy: 'cdc connectors resume {connector}',
    privilege: operator,
    blastRadius:
      'Nothing is captured, and its slot keeps WAL on the legacy server meanwhile (a MariaDB purges its binlog when its time is over).',
  },
  CONNECTOR_DIFFERS: {
    scope: 'log',
    severity: 'info',
    cause: 'Connector {subject} runs with other settings than its file: {keys}.',
    remedy: 'cdc connectors plan {connector}; then cdc connectors apply {connector}',
    privilege: operator,
    blastRadius: 'What was examined is the file; what runs may behave differently.',
  },
  TOPIC_PREFIX_DIFFERS: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} writes topics {prefix}.…, but connect.topicPrefix is {expected}.',
    remedy: 'Make topic.prefix of the connector file and connect.topicPrefix of pipeline.yaml equal.',
    privilege: editor,
    blastRadius: 'Read model and comparison wait for topics that nobody writes.',
  },
  CONNECTOR_DATABASE_DIFFERS: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {subject} captures {setting} = {value}, but legacyDb says {expected}.',
    remedy: 'Make the connector file and legacyDb agree; references such as ${env:LEGACY_DB_NAME} keep them together.',
    privilege: editor,
    blastRadius: 'Another database is captured than the one that was examined here.',
  },
} as const satisfies Record<string, FindingEntry>;
