import type { CatalogueEntry } from './entry.ts';

/** Configuration, Kafka, events. */
export const generalErrors = {
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
  DIALECT_UNSUPPORTED: {
    cause: 'The command works on Postgres, and legacyDb.dialect says mariadb.',
    remedy:
      'Of a MariaDB or MySQL, use the poller (cdc poller …) or a connector (cdc connectors …, docs/mariadb.md); or point legacyDb at a Postgres.',
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
    remedy: 'Raise max.message.bytes of the topic, exclude the large column, or set onTooLarge to skip or dead-letter.',
    exitCode: 65,
  },
  PRODUCER_FENCED: {
    cause: 'Another process with the same poller name has taken over this table (newer transactional id epoch).',
    remedy: 'Run one process per poller name, let several share the tables (poller.sharing: group), or give this one another poller.name.',
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
  WAIT_TIMEOUT: {
    cause: 'A condition did not come true within its limit.',
    remedy: 'Look at the processes (cdc stack status) and their logs.',
    exitCode: 75,
  },
} as const satisfies Record<string, CatalogueEntry>;
