import type { FindingEntry } from './entry.ts';

const restart = 'superuser, and a restart of the server';

/** The server's log, its slots, and the transactions that a new slot waits for. */
export const replicationFindings = {
  WAL_LEVEL: {
    scope: 'log',
    severity: 'error',
    cause: 'wal_level is {value}: the log lacks what logical decoding needs.',
    remedy: 'ALTER SYSTEM SET wal_level = logical; then restart the server.',
    privilege: restart,
    blastRadius:
      'No replication slot can be created, so the connector fails at once. The restart ends all sessions. The server then writes slightly more WAL.',
  },
  NO_SLOT_LEFT: {
    scope: 'log',
    severity: 'error',
    cause: 'All {value} replication slots of the server (max_replication_slots) are in use: {slots}.',
    remedy:
      "Drop one that nobody uses: SELECT pg_drop_replication_slot('…'); or ALTER SYSTEM SET max_replication_slots = {more}; and restart.",
    privilege: 'REPLICATION to drop; superuser and a restart for the setting',
    blastRadius:
      'The connector cannot create slot {subject} and fails. If you drop a slot that somebody uses after all, its consumer loses its position.',
  },
  NO_WAL_SENDER_LEFT: {
    scope: 'log',
    severity: 'error',
    cause: '{used} of {value} WAL senders (max_wal_senders) are in use.',
    remedy: 'ALTER SYSTEM SET max_wal_senders = {more}; then restart the server.',
    privilege: restart,
    blastRadius: 'The connector cannot stream, or a standby or backup that needs a sender is refused instead.',
  },
  WAL_RETENTION_UNBOUNDED: {
    scope: 'log',
    severity: 'warning',
    cause: 'max_slot_wal_keep_size is -1: the slot of a stopped connector keeps WAL without limit (slots keep {retained} now).',
    remedy: "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); with a size that the disk can spare.",
    privilege: 'superuser',
    blastRadius:
      'A connector that is down for long fills the disk of the legacy server, which then stops for everyone. With the limit, the slot is lost instead, and the connector needs a new snapshot.',
  },
  STANDBY_NOT_AWAITED: {
    scope: 'log',
    severity: 'warning',
    cause: 'Slot {subject} is copied to a standby, but synchronized_standby_slots is empty: the connector does not wait for {standbys}.',
    remedy:
      'ALTER SYSTEM SET synchronized_standby_slots = {names}; SELECT pg_reload_conf(); with the slots of the standbys that may be promoted.',
    privilege: 'superuser',
    blastRadius:
      'After a failover, Kafka and the read model may have rows that the new primary never received. With the setting, a standby that is down holds the connector back instead.',
  },
  SLOT_INACTIVE: {
    scope: 'log',
    severity: 'warning',
    cause: 'Nobody reads slot {subject} (database {database}); it keeps {retained} of WAL.',
    remedy:
      'Start its connector (cdc connectors resume; a RUNNING one reconnects by itself, or see CONNECTOR_STALLED). If nobody needs the slot: SELECT pg_drop_replication_slot({sqlSlot});',
    privilege: 'REPLICATION',
    blastRadius: 'The WAL that it keeps grows with every write of the legacy system. If you drop it, its consumer loses its position.',
  },
  SLOT_BUSY: {
    scope: 'log',
    severity: 'error',
    cause: 'Somebody else reads slot {subject} ({who}): {detail}.',
    remedy: 'Stop the other consumer, or give the connector another slot.name.',
    privilege: 'operator of the other consumer',
    blastRadius:
      'The connector fails with “replication slot is active”. Two consumers that take turns would each miss what the other read.',
  },
  SLOT_HOLDER_UNKNOWN: {
    scope: 'log',
    severity: 'unknown',
    cause: 'Somebody reads slot {subject} ({who}). Kafka Connect does not answer, so it is unknown whether that is its own connector.',
    remedy: 'Make Kafka Connect reachable (connect.url) and run cdc doctor again.',
    privilege: 'operator of Kafka Connect',
    blastRadius: 'If it is another consumer, the connector will fail.',
  },
  SLOT_LOST: {
    scope: 'log',
    severity: 'error',
    cause: 'The server has removed WAL that slot {subject} still needed ({reason}).',
    remedy:
      'Run cdc connectors stop for the connector; SELECT pg_drop_replication_slot({sqlSlot}); reset its offsets; then apply it again. It takes a new snapshot.',
    privilege: 'REPLICATION',
    blastRadius: 'Changes since {position} are no longer in the log. Rows deleted since then stay in the read model until it is rebuilt.',
  },
  SLOT_AT_RISK: {
    scope: 'log',
    severity: 'warning',
    cause: 'Slot {subject} is over its limit (wal_status {status}, {left}). The next checkpoint may remove what it needs.',
    remedy: 'Let the connector catch up now, or raise max_slot_wal_keep_size and SELECT pg_reload_conf();',
    privilege: 'superuser for the setting',
    blastRadius: 'The slot will be lost, and with it every change that the connector has not read.',
  },
  SLOT_MISMATCH: {
    scope: 'log',
    severity: 'error',
    cause: 'A slot {subject} exists, but {detail}.',
    remedy: 'Choose another slot.name, or drop it if nobody needs it: SELECT pg_drop_replication_slot({sqlSlot});',
    privilege: 'REPLICATION to drop',
    blastRadius: 'The connector cannot use it and fails.',
  },
  OFFSET_BEHIND_SLOT: {
    scope: 'log',
    severity: 'error',
    cause: 'The position of connector {connector} in Kafka Connect ({offset}) is older than where slot {subject} starts ({position}).',
    remedy: 'Take a new snapshot of the tables: stop the connector, reset its offsets, drop the slot, apply it again.',
    privilege: 'REPLICATION; who operates Kafka Connect',
    blastRadius: 'Every change between the two positions is missing in Kafka, without any error.',
  },
  OFFSET_WITHOUT_SLOT: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {connector} has a position ({offset}), but its slot {subject} does not exist.',
    remedy: 'Take a new snapshot of the tables: stop the connector, reset its offsets, apply it again (it creates the slot).',
    privilege: 'REPLICATION; who operates Kafka Connect',
    blastRadius: 'A slot that is created now starts now: every change since that position is missing in Kafka.',
  },
  TRANSACTION_BLOCKS_SLOT: {
    scope: 'log',
    severity: 'error',
    cause: '{who} has had a writing transaction open for {age}.',
    remedy: 'Let its application commit, or: SELECT pg_terminate_backend({pid});',
    privilege: 'the same role, a member of pg_signal_backend, or a superuser',
    blastRadius:
      'Creating slot {slot} waits for its end, whichever database it runs in, so cdc connectors apply runs into its time limit. Ending the session rolls back its work.',
  },
  PREPARED_BLOCKS_SLOT: {
    scope: 'log',
    severity: 'error',
    cause: 'Transaction {subject} of {owner} in database {database} has been prepared for {age}.',
    remedy: 'In that database: COMMIT PREPARED {sqlGid}; or: ROLLBACK PREPARED {sqlGid};',
    privilege: 'the role that prepared it, or a superuser',
    blastRadius: 'Creating slot {slot} waits for it for ever, across restarts too: the connector never starts.',
  },
  TRANSACTION_HIDDEN: {
    scope: 'either',
    severity: 'unknown',
    cause: '{who} has a transaction open whose age role {role} may not see.',
    remedy:
      'GRANT pg_read_all_stats TO {sqlRole}; or ask as a superuser: SELECT xact_start, state FROM pg_stat_activity WHERE pid = {pid};',
    privilege: 'superuser, or a role that holds pg_read_all_stats with ADMIN OPTION',
    blastRadius: 'If it is an old one: {consequence}.',
  },
} as const satisfies Record<string, FindingEntry>;
