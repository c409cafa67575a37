import type { CatalogueEntry } from './entry.ts';

/** Configuration, Kafka, events. */
export const generalErrors = {
  CONFIG_NOT_FOUND: {
    cause: 'The configuration file does not exist or cannot be read.',
    remedy: 'Pass --config FILE, or run the command in the folder of pipeline.yaml.',
    exitCode: 78,
  },
  CONFIG_SYNTAX: { cause: 'The configuration file is not valid YAML.', remedy: 'Correct the line in the message.', exitCode: 78 },
  PROJECT_EXISTS: {
    cause: 'A file that cdc init would write is there already.',
    remedy: 'Choose an empty folder (--folder), or move the files that are named.',
    exitCode: 64,
  },
  NOTHING_TO_CAPTURE: {
    cause: 'There is no table that cdc init can capture.',
    remedy: 'Use a role that may see the tables, and look at --tables and --strategy.',
    exitCode: 65,
  },
  CONFIG_INVALID: {
    cause: 'A setting is missing, unknown or of the wrong type.',
    remedy: 'Correct the setting in the message. docs/reference/settings.md lists all settings.',
    exitCode: 78,
  },
  MONITORING_UNAVAILABLE: {
    cause: 'The program cannot listen on the address for monitoring: another program uses it, or it does not belong to this machine.',
    remedy: 'Choose another port (0 takes a free one) or host in the setting that the message names.',
    exitCode: 73,
  },
  DIALECT_UNSUPPORTED: {
    cause: 'The command works on Postgres, or on a database with a log, and legacyDb.dialect is mariadb or h2.',
    remedy:
      'On MariaDB or MySQL, use the poller (cdc poller …) or a connector (cdc connectors …), see docs/mariadb.md. On H2, use the poller, see docs/h2.md. Or point legacyDb at a Postgres.',
    exitCode: 78,
  },
  CONFIG_ENV_MISSING: {
    cause: 'The configuration refers to an environment variable that is not set and has no default.',
    remedy: 'Set the variable, or write a default as ${NAME:-default}.',
    exitCode: 78,
  },
  KAFKA_UNREACHABLE: {
    cause: 'No broker answered at the configured address ("Broker may not be available").',
    remedy: 'Start Kafka (cdc stack up), or correct kafka.brokers. Check that advertised.listeners is an address that this host can reach.',
    exitCode: 69,
  },
  KAFKA_AUTHENTICATION_FAILED: {
    cause: 'The broker refused the SASL user name or password.',
    remedy: 'Correct kafka.sasl (mechanism, username, password).',
    exitCode: 77,
  },
  KAFKA_MESSAGE_TOO_LARGE: {
    cause: 'An event is larger than its topic allows (max.message.bytes).',
    remedy: 'Raise max.message.bytes of the topic, exclude the large column, or set onTooLarge to skip or dead-letter.',
    exitCode: 65,
  },
  KAFKA_BATCH_TOO_LARGE: {
    cause:
      'An unpacked batch of records is larger than kafka.maxBatchMb: it has a very large message, or one made to fill the memory of its readers.',
    remedy:
      'To read the batch, raise kafka.maxBatchMb and restart the process. Otherwise find who wrote it, and skip it: cdc read-model skip, with the offsets in the message.',
    exitCode: 65,
  },
  KAFKA_BATCH_UNREADABLE: {
    cause: 'A batch of records is damaged, or compressed with an unknown codec.',
    remedy:
      'Restore the topic, or skip the batch: cdc read-model skip, with the offsets in the message. Its events are lost to the model until their rows change again or the model is filled again.',
    exitCode: 65,
  },
  PRODUCER_FENCED: {
    cause: 'Another process with the same poller name has taken over this table (newer transactional id epoch).',
    remedy:
      'Run one process per poller name, let several processes share the tables (poller.sharing: group), or give this one another poller.name.',
    exitCode: 75,
  },
  TOPIC_MISSING: {
    cause: 'A topic does not exist.',
    remedy: 'Start the producer of the topic first, or create the topic.',
    exitCode: 69,
  },
  EVENT_UNDECODABLE: {
    cause: 'A message is not a change event.',
    remedy:
      "docs/change-event.md describes the format. Find out who else writes to the topic. A service that follows an outbox names its topic with value: 'outbox' (docs/sdk.md).",
    exitCode: 65,
  },
  WAIT_TIMEOUT: {
    cause: 'Something did not happen within its time limit.',
    remedy: 'Check the processes (cdc stack status) and their logs.',
    exitCode: 75,
  },
} as const satisfies Record<string, CatalogueEntry>;
