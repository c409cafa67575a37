import type { FindingEntry } from './entry.ts';

const operator = 'who operates Kafka';

/** The poller's topics and positions. Cause and remedy of a case come from the poller's judge (refusal-finding.ts): here they say what a code means in general. */
export const kafkaFindings = {
  KAFKA_UNREACHABLE: {
    scope: 'query',
    severity: 'unknown',
    cause: 'No broker of kafka.brokers answered, so topics and positions of the poller could not be read.',
    remedy: 'Start Kafka, or correct kafka.brokers; then run cdc doctor again.',
    privilege: operator,
    blastRadius: 'Whether each table has its topic and a valid position is not known. The poller does not start without Kafka.',
  },
  KAFKA_AUTHENTICATION_FAILED: {
    scope: 'query',
    severity: 'error',
    cause: 'The broker refuses the credentials of kafka.sasl.',
    remedy: 'Correct kafka.sasl, or create the user on the brokers.',
    privilege: operator,
    blastRadius: 'The poller does not start.',
  },
  TOPIC_REPLACED: {
    scope: 'query',
    severity: 'error',
    cause:
      'The topic of {subject} was deleted, or created again. Earlier events are missing from it, though the position of the table says that they are published.',
    remedy: 'Run cdc poller reset for the table, which loads it again; or set onTopicReplaced.',
    privilege: 'who operates the poller',
    blastRadius: 'The poller refuses {subject} and polls the other tables. Nothing of it is published.',
  },
  POSITION_INVALID: {
    scope: 'query',
    severity: 'error',
    cause: 'The stored position of {subject} cannot be read: a newer version, or something else, wrote it.',
    remedy: 'Run the version that wrote it, or cdc poller reset for the table, which loads it again.',
    privilege: 'who operates the poller',
    blastRadius: 'The poller refuses {subject} and polls the other tables. Nothing of it is published.',
  },
  POSITION_INCOMPLETE: {
    scope: 'query',
    severity: 'error',
    cause:
      'Remembered keys of the stored position of {subject} are missing from the positions topic: a retention removed them, or somebody deleted records.',
    remedy: 'Set cleanup.policy=compact on the topic, and run cdc poller reset for the table, which loads it again.',
    privilege: 'who operates the poller',
    blastRadius: 'The poller refuses {subject} and polls the other tables. Going on would publish rows twice.',
  },
  SOURCE_CHANGED: {
    scope: 'query',
    severity: 'error',
    cause:
      'The stored position of {subject} was made with another server or timeline, or belongs to a history that this server does not have: it is a restored backup, or the result of a failover.',
    remedy: 'Check legacyDb. If the change is intended, run cdc poller reset, which loads the tables again.',
    privilege: 'who operates the poller',
    blastRadius: 'The poller ends with this error, and nothing is published. Rows that it read here could be mistaken for published ones.',
  },
  TABLE_CHANGED: {
    scope: 'query',
    severity: 'error',
    cause: '{subject}, or its configuration, has another key, mode or tracking column than its position.',
    remedy: 'Undo the change, or run cdc poller reset --table, which loads the table again.',
    privilege: 'who operates the poller',
    blastRadius: 'The poller refuses {subject} and polls the other tables. Nothing of it is published.',
  },
} as const satisfies Record<string, FindingEntry>;
