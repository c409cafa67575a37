import type { FindingEntry } from './entry.ts';

const owner = 'owner of the table';
const publisher = 'owner of the publication, who owns the tables too';

/** What the tables' owner prepares for capture from the log: rights, publication, heartbeat, replica identity. */
export const preparationFindings = {
  REPLICATION_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'Role {subject} lacks the attribute REPLICATION.',
    remedy: 'ALTER ROLE {sqlRole} REPLICATION; (Amazon RDS: GRANT rds_replication TO {sqlRole};)',
    privilege: 'superuser (Postgres 16 and newer: also a role with CREATEROLE and REPLICATION)',
    blastRadius:
      'The connector cannot read the log and fails. The attribute lets the role read every change in every database of the server.',
  },
  OWNER_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'Role {subject} (legacyDb.roles.owner), which is to prepare the tables, does not exist.',
    remedy: 'Correct legacyDb.roles.owner: the tables belong to {owners}.',
    privilege: 'who edits pipeline.yaml',
    blastRadius: 'cdc connectors prepare cannot log in.',
  },
  OWNER_LACKS_CREATE: {
    scope: 'log',
    severity: 'error',
    cause: 'Role {subject} may not create {what} in database {database}.',
    remedy: 'GRANT CREATE ON DATABASE {sqlDatabase} TO {sqlRole};',
    privilege: 'owner of the database, or a superuser',
    blastRadius: 'cdc connectors prepare fails before it has changed anything in the tables.',
  },
  OWNER_NOT_OWNER: {
    scope: 'log',
    severity: 'error',
    cause: 'Role {role}, which is to publish {subject}, does not own it ({owner} does).',
    remedy: 'GRANT {sqlOwner} TO {sqlRole}; or run cdc connectors prepare as {owner} (legacyDb.roles.owner).',
    privilege: 'superuser, or a role with ADMIN OPTION on {owner}',
    blastRadius: 'Only its owner can put {subject} into a publication: cdc connectors prepare fails.',
  },
  PUBLICATION_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'There is no publication {subject}.',
    remedy: 'cdc connectors prepare; or: CREATE PUBLICATION {sqlPublication} FOR TABLE {sqlTables};',
    privilege: 'owner of the tables, with CREATE on the database',
    blastRadius:
      'The connector fails at its first change. A table that is published without replica identity refuses UPDATE and DELETE from that moment.',
  },
  PUBLICATION_AUTOCREATED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {connector} is to make publication {publication} itself (publication.autocreate.mode is {mode}).',
    remedy: 'Set publication.autocreate.mode to disabled, and let the owner run cdc connectors prepare.',
    privilege: 'who edits the connector file',
    blastRadius:
      'With all_tables it publishes every table of the database: UPDATE and DELETE start to fail in the application on each that has no primary key. It also needs a superuser for that.',
  },
  PUBLICATION_OPERATIONS: {
    scope: 'log',
    severity: 'warning',
    cause: 'Publication {subject} leaves out {operations}.',
    remedy: "ALTER PUBLICATION {sqlPublication} SET (publish = 'insert, update, delete, truncate');",
    privilege: 'owner of the publication',
    blastRadius: 'These changes never reach Kafka, without any error: the read model drifts away.',
  },
  PUBLICATION_FILTERED: {
    scope: 'log',
    severity: 'warning',
    cause: 'Publication {publication} publishes {subject} in part only: {detail}.',
    remedy: 'ALTER PUBLICATION {sqlPublication} SET TABLE {sqlTable}, …; without WHERE and columns, if that is not meant.',
    privilege: publisher,
    blastRadius: 'What is left out never reaches Kafka while streaming, though the snapshot reads it.',
  },
  TABLE_NOT_PUBLISHED: {
    scope: 'log',
    severity: 'error',
    cause: 'Publication {publication} does not hold {subject}.',
    remedy: 'cdc connectors prepare; or: ALTER PUBLICATION {sqlPublication} ADD TABLE {sqlTable};',
    privilege: publisher,
    blastRadius: 'The snapshot reads {subject}, then none of its changes ever arrives, without any error.',
  },
  PARTITIONS_SEPARATE: {
    scope: 'log',
    severity: 'error',
    cause: 'Publication {publication} publishes the partitions of {subject} under their own names (publish_via_partition_root is off).',
    remedy: 'ALTER PUBLICATION {sqlPublication} SET (publish_via_partition_root = true);',
    privilege: 'owner of the publication',
    blastRadius: 'Changes come as those of partitions, which table.include.list does not name: none of {subject} arrives.',
  },
  HEARTBEAT_OFF: {
    scope: 'log',
    severity: 'warning',
    cause: 'Connector {subject} has no heartbeat: {detail}.',
    remedy:
      'Set heartbeat.interval.ms = 5000 and heartbeat.action.query = UPDATE cdc.heartbeat SET beat_at = clock_timestamp() WHERE id = 1.',
    privilege: 'who edits the connector file',
    blastRadius:
      'While the captured tables are quiet and others are written, the slot does not move: WAL piles up on the legacy server though all is well. Nor can anybody tell a connector that rests from one that is stuck.',
  },
  HEARTBEAT_TABLE_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'The heartbeat table {subject} does not exist.',
    remedy: 'cdc connectors prepare; it runs connectors/sql/01-heartbeat.sql.',
    privilege: 'owner of the tables, with CREATE on the database',
    blastRadius: 'The heartbeat fails, and the slot does not move while the captured tables are quiet: WAL piles up.',
  },
  HEARTBEAT_ROW_MISSING: {
    scope: 'log',
    severity: 'warning',
    cause: 'The heartbeat table {subject} is empty, so the heartbeat updates nothing.',
    remedy: 'cdc connectors prepare; or: INSERT INTO {sqlTable} (id, beat_at) VALUES (1, now());',
    privilege: owner,
    blastRadius: 'The slot does not move while the captured tables are quiet: WAL piles up.',
  },
  HEARTBEAT_NOT_PUBLISHED: {
    scope: 'log',
    severity: 'error',
    cause: 'The heartbeat table {subject} is not in publication {publication}.',
    remedy: 'cdc connectors prepare; or: ALTER PUBLICATION {sqlPublication} ADD TABLE {sqlTable};',
    privilege: publisher,
    blastRadius:
      'The heartbeat is written but never seen: the slot does not move while the captured tables are quiet, and WAL piles up without limit.',
  },
  HEARTBEAT_UPDATE_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'Role {role} may not update the heartbeat table {subject}.',
    remedy: 'cdc connectors prepare; or: GRANT USAGE ON SCHEMA {sqlSchema} TO {sqlRole}; GRANT SELECT, UPDATE ON {sqlTable} TO {sqlRole};',
    privilege: owner,
    blastRadius: 'The heartbeat fails: the slot does not move while the captured tables are quiet.',
  },
  SIGNAL_TABLE_UNUSABLE: {
    scope: 'log',
    severity: 'warning',
    cause: 'The signal table {subject} of connector {connector} cannot be used: {detail}.',
    remedy: 'cdc connectors prepare; it runs connectors/sql/05-signal.sql.',
    privilege: publisher,
    blastRadius: 'Capture runs, but a snapshot that is asked for by signal (cdc connectors snapshot) never begins.',
  },
  IDENTITY_BREAKS_WRITES: {
    scope: 'log',
    severity: 'error',
    cause: 'Table {subject} is in publication {publication}, and {detail}.',
    remedy: 'ALTER TABLE {sqlTable} REPLICA IDENTITY FULL; or at once: ALTER PUBLICATION {sqlPublication} DROP TABLE {sqlTable};',
    privilege: owner,
    blastRadius: 'UPDATE and DELETE on {subject} fail in your application, now.',
  },
  IDENTITY_WILL_BREAK_WRITES: {
    scope: 'log',
    severity: 'warning',
    cause: 'Table {subject} is to be published, and {detail}.',
    remedy:
      'ALTER TABLE {sqlTable} REPLICA IDENTITY FULL; before it is published (cdc connectors prepare does so where the identity is DEFAULT).',
    privilege: owner,
    blastRadius: 'UPDATE and DELETE on {subject} will start to fail in your application when it is published as it is.',
  },
  BEFORE_IMAGE_MISSING: {
    scope: 'log',
    severity: 'info',
    cause: 'Table {subject} has replica identity {identity}: the log holds the key of an old row, not the row.',
    remedy: 'ALTER TABLE {sqlTable} REPLICA IDENTITY FULL; (cdc connectors prepare)',
    privilege: owner,
    blastRadius: 'Events of UPDATE and DELETE have no before-image. FULL makes each of them write the old row into the WAL as well.',
  },
  TOAST_WITHOUT_IDENTITY: {
    scope: 'log',
    severity: 'warning',
    cause: 'Table {subject} stores large values out of line ({columns}; {bytes} now) and its replica identity is {identity}.',
    remedy: 'ALTER TABLE {sqlTable} REPLICA IDENTITY FULL; (cdc connectors prepare)',
    privilege: owner,
    blastRadius:
      "An UPDATE that does not touch such a value sends Debezium's placeholder instead of it. This project's read model keeps the value it has; other consumers may store the placeholder.",
  },
  TABLE_UNLOGGED: {
    scope: 'log',
    severity: 'error',
    cause: 'Table {subject} is {persistence}: its changes are not in the log.',
    remedy: 'ALTER TABLE {sqlTable} SET LOGGED; or poll this table.',
    privilege: owner,
    blastRadius: 'It cannot be published: cdc connectors prepare fails. The remedy rewrites the table under ACCESS EXCLUSIVE.',
  },
} as const satisfies Record<string, FindingEntry>;
