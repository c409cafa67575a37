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
      'The connector cannot read the log and fails. The attribute allows the role to read every change in every database of the server.',
  },
  OWNER_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'Role {subject} (legacyDb.roles.owner), which should prepare the tables, does not exist.',
    remedy: 'Correct legacyDb.roles.owner. The tables belong to {owners}.',
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
    cause: 'Role {role}, which should publish {subject}, does not own it ({owner} does).',
    remedy: 'GRANT {sqlOwner} TO {sqlRole}; or run cdc connectors prepare as {owner} (legacyDb.roles.owner).',
    privilege: 'superuser, or a role with ADMIN OPTION on {owner}',
    blastRadius: 'Only its owner can add {subject} to a publication, so cdc connectors prepare fails.',
  },
  PUBLICATION_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'There is no publication {subject}.',
    remedy: 'cdc connectors prepare, which checks each table before it publishes it.',
    privilege: 'owner of the tables, with CREATE on the database',
    blastRadius:
      'The connector fails at its first change. A table that is published without a replica identity refuses UPDATE and DELETE from that moment on.',
  },
  PUBLICATION_AUTOCREATED: {
    scope: 'log',
    severity: 'error',
    cause: 'Connector {connector} creates publication {publication} itself (publication.autocreate.mode is {mode}).',
    remedy: 'Set publication.autocreate.mode to disabled, and let the owner run cdc connectors prepare.',
    privilege: 'who edits the connector file',
    blastRadius:
      'With all_tables it publishes every table of the database. UPDATE and DELETE then fail in the application on each table without a primary key. It also needs a superuser for that.',
  },
  PUBLICATION_OPERATIONS: {
    scope: 'log',
    severity: 'warning',
    cause: 'Publication {subject} leaves out {operations}.',
    remedy: '{statements}',
    privilege: 'owner of the publication',
    blastRadius: 'These changes never reach Kafka, without any error. The read model becomes wrong.',
  },
  PUBLICATION_FILTERED: {
    scope: 'log',
    severity: 'warning',
    cause: 'Publication {publication} publishes only part of {subject}: {detail}.',
    remedy:
      'If that is not intended, in one transaction: ALTER PUBLICATION {sqlPublication} DROP TABLE {sqlTable}; ALTER PUBLICATION {sqlPublication} ADD TABLE {sqlTable};',
    privilege: publisher,
    blastRadius: 'The unpublished part never reaches Kafka while streaming, though the snapshot reads it.',
  },
  TABLE_NOT_PUBLISHED: {
    scope: 'log',
    severity: 'error',
    cause: 'Publication {publication} does not contain {subject}.',
    remedy: '{statements}',
    privilege: publisher,
    blastRadius: 'The snapshot reads {subject}. After that none of its changes arrives, without any error.',
  },
  PARTITIONS_SEPARATE: {
    scope: 'log',
    severity: 'error',
    cause: 'Publication {publication} publishes the partitions of {subject} under their own names (publish_via_partition_root is off).',
    remedy: 'ALTER PUBLICATION {sqlPublication} SET (publish_via_partition_root = true);',
    privilege: 'owner of the publication',
    blastRadius: 'Changes come under the names of partitions, which table.include.list does not have. None of {subject} arrives.',
  },
  HEARTBEAT_OFF: {
    scope: 'log',
    severity: 'warning',
    cause: 'Connector {subject} has no heartbeat: {detail}.',
    remedy:
      'Set heartbeat.interval.ms = 5000 and heartbeat.action.query = UPDATE cdc.heartbeat SET beat_at = clock_timestamp() WHERE id = 1.',
    privilege: 'who edits the connector file',
    blastRadius:
      'While the captured tables are quiet and others are written, the slot does not move: WAL piles up on the legacy server, though nothing is wrong. An idle connector looks like a stuck one.',
  },
  HEARTBEAT_TABLE_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'The heartbeat table {subject} does not exist.',
    remedy: 'cdc connectors prepare',
    privilege: 'owner of the tables, with CREATE on the database',
    blastRadius: 'The heartbeat fails. While the captured tables are quiet, the slot does not move, and WAL piles up.',
  },
  HEARTBEAT_ROW_MISSING: {
    scope: 'log',
    severity: 'warning',
    cause: 'The heartbeat table {subject} is empty, so the heartbeat updates nothing.',
    remedy: 'cdc connectors prepare; or: INSERT INTO {sqlTable} (id, beat_at) VALUES (1, now());',
    privilege: owner,
    blastRadius: 'While the captured tables are quiet, the slot does not move, and WAL piles up.',
  },
  HEARTBEAT_NOT_PUBLISHED: {
    scope: 'log',
    severity: 'error',
    cause: 'The heartbeat table {subject} is not in publication {publication}.',
    remedy: 'cdc connectors prepare; or: ALTER PUBLICATION {sqlPublication} ADD TABLE {sqlTable};',
    privilege: publisher,
    blastRadius:
      'The heartbeat is written but never seen. While the captured tables are quiet, the slot does not move, and WAL piles up without limit.',
  },
  HEARTBEAT_UPDATE_MISSING: {
    scope: 'log',
    severity: 'error',
    cause: 'Role {role} may not update the heartbeat table {subject}.',
    remedy: 'cdc connectors prepare; or: GRANT USAGE ON SCHEMA {sqlSchema} TO {sqlRole}; GRANT SELECT, UPDATE ON {sqlTable} TO {sqlRole};',
    privilege: owner,
    blastRadius: 'The heartbeat fails. While the captured tables are quiet, the slot does not move, and WAL piles up.',
  },
  SIGNAL_TABLE_UNUSABLE: {
    scope: 'log',
    severity: 'warning',
    cause: 'The signal table {subject} of connector {connector} cannot be used: {detail}.',
    remedy: 'cdc connectors prepare',
    privilege: publisher,
    blastRadius: 'Capture runs, but a snapshot that is requested by signal (cdc connectors snapshot) never begins.',
  },
  IDENTITY_BREAKS_WRITES: {
    scope: 'log',
    severity: 'error',
    cause: 'Table {subject} is published, and {detail}.',
    remedy: '{statements}; or at once: ALTER PUBLICATION {sqlPublication} DROP TABLE {sqlMember};',
    privilege: owner,
    blastRadius: 'UPDATE and DELETE on {subject} fail in your application, now.',
  },
  IDENTITY_WILL_BREAK_WRITES: {
    scope: 'log',
    severity: 'warning',
    cause: 'Table {subject} will be published, and {detail}.',
    remedy: '{statements}',
    privilege: owner,
    blastRadius: 'If {subject} is published as it is, UPDATE and DELETE on it will fail in your application.',
  },
  PARTITIONS_WILL_BREAK_WRITES: {
    scope: 'log',
    severity: 'error',
    cause: 'Partitions of {subject} that are added later start with REPLICA IDENTITY DEFAULT, where {detail}.',
    remedy: 'Give {subject} a primary key, or take it out of table.include.list and poll it.',
    privilege: owner,
    blastRadius:
      'Once the table is published, UPDATE and DELETE will fail in your application on each partition that is added. So cdc connectors prepare leaves it out.',
  },
  PARTITION_FOREIGN: {
    scope: 'log',
    severity: 'error',
    cause: 'Partition {partition} of {subject} is a foreign table: its changes are in the log of another server.',
    remedy: 'Take {subject} out of table.include.list, and poll it; or ALTER TABLE {sqlTable} DETACH PARTITION {partition};',
    privilege: owner,
    blastRadius: 'Changes of these rows never arrive, though the snapshot reads them. So cdc connectors prepare leaves the table out.',
  },
  CHILDREN_NOT_CAPTURED: {
    scope: 'log',
    severity: 'error',
    cause:
      'Other tables inherit from {subject} ({children}). A snapshot reads their rows as its own, but their changes come under their own names.',
    remedy: 'Take {subject} out of table.include.list. Add the child tables instead, or poll it.',
    privilege: 'who edits the connector file',
    blastRadius: 'Rows of the child tables would be captured once and then never change. So cdc connectors prepare leaves the table out.',
  },
  KEY_NOT_LOGGED: {
    scope: 'log',
    severity: 'error',
    cause: 'The key of {subject} contains a generated column, which the log of Postgres {version} does not have.',
    remedy: 'Take {subject} out of table.include.list, and poll it; or upgrade to Postgres 18.',
    privilege: 'who edits the connector file',
    blastRadius: 'Events of {subject} would have an incomplete key. So cdc connectors prepare leaves the table out.',
  },
  GENERATED_NOT_PUBLISHED: {
    scope: 'log',
    severity: 'warning',
    cause: 'The log does not have {columns} of {subject}: {detail}.',
    remedy: '{statements}',
    privilege: 'owner of the publication, or who edits the connector file',
    blastRadius: 'The snapshot reads {columns}, but changed rows come without: a mirror has NULL, though the source has a value.',
  },
  VALUES_LOST: {
    scope: 'log',
    severity: 'warning',
    cause: 'Debezium does not carry every value of {columns} of {subject}.',
    remedy: 'Poll the table (docs/poller.md){orLeaveOut}.',
    privilege: 'who edits the connector file',
    blastRadius:
      'Values become NULL, junk or other values, or the column is missing in events: arrays of several dimensions and of many types, int2vector, oidvector, your own types that have the name of a built-in one (docs/change-event.md#where-the-strategies-differ); columns whose names are between quotes (docs/log-based.md#names-that-debezium-cannot-handle). There is no error.',
  },
  VALUES_STOP_CONNECTOR: {
    scope: 'log',
    severity: 'warning',
    cause: 'Any value in {columns} of {subject} stops the connector: Debezium cannot read its type, or its name.',
    remedy:
      'Remove {subject} from table.include.list, and poll it (docs/poller.md). Leaving the column out (column.exclude.list) helps with some types only.',
    privilege: 'who edits the connector file',
    blastRadius:
      'The first row with a value there, or any row where it is for the name, stops the connector, with all its tables, until the row is out of the log or the table out of the connector.',
  },
  VALUES_LOST_AT_EDGES: {
    scope: 'log',
    severity: 'info',
    cause: 'Debezium does not carry extreme values of {columns} of {subject}.',
    remedy: 'If the application writes such values, poll the table (docs/poller.md).',
    privilege: 'who edits the connector file',
    blastRadius:
      'A date before Christ loses its era in the snapshot, 24:00:00 becomes 00:00:00, an infinite interval becomes zero. An interval of more than 2,147,483,647 hours, or a timetz whose zone has seconds, stops the connector.',
  },
  PARTITION_TRUNCATE: {
    scope: 'log',
    severity: 'info',
    cause: 'A TRUNCATE of one partition of {subject} makes no event. A TRUNCATE of the table does.',
    remedy:
      'After a TRUNCATE of a partition, compare the rows with the source (cdc compare), and fill the mirror again (cdc read-model rebuild).',
    privilege: 'operator of the pipeline',
    blastRadius: 'Rows of a truncated or detached partition stay in the read model, and its freshness does not show it.',
  },
  BEFORE_IMAGE_MISSING: {
    scope: 'log',
    severity: 'info',
    cause: 'Table {subject} has replica identity {identity}{where}: the log has the key of an old row, not the whole row.',
    remedy: '{statements}',
    privilege: owner,
    blastRadius:
      'Events of UPDATE and DELETE have no before-image. With FULL, each UPDATE and DELETE also writes the old row into the WAL.',
  },
  TOAST_WITHOUT_IDENTITY: {
    scope: 'log',
    severity: 'warning',
    cause: 'Table {subject} stores large values out of line ({columns}; {bytes} now) and its replica identity is {identity}{where}.',
    remedy: '{statements}',
    privilege: owner,
    blastRadius:
      "An UPDATE that does not change such a value sends Debezium's placeholder instead. The read model of this project keeps the value it has; other consumers may store the placeholder.",
  },
  TABLE_UNLOGGED: {
    scope: 'log',
    severity: 'error',
    cause: 'Table {subject} is {persistence}: its changes are not in the log.',
    remedy: 'ALTER TABLE {sqlTable} SET LOGGED; or poll this table.',
    privilege: owner,
    blastRadius: 'It cannot be published, so cdc connectors prepare leaves it out. The remedy rewrites the table under ACCESS EXCLUSIVE.',
  },
} as const satisfies Record<string, FindingEntry>;
