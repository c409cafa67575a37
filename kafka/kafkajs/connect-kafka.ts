// Before kafkajs itself.
import { hasFasterInternals } from './faster-internals.ts';
import { CdcError, tlsOptions, type KafkaConfig, type Logger } from '#pipeline/index.ts';
import type { Kafka as KafkaJs, SASLOptions } from 'kafkajs';
import type { Kafka, KafkaAdmin } from '../port.ts';
import { wrapAdmin } from './admin.ts';
import { registerZstd } from './compression.ts';
import { runConsumer } from './consumer.ts';
import { translateKafkaError } from './errors.ts';
import { ownClient, type OwnClient } from './own-client.ts';
import { stickyAssigner, type StickyAssigner } from './sticky-assigner.ts';
import { ownTransactionalId, placedPartitioner } from './producer.ts';

/**
 * Retries inside kafkajs bridge what lasts a moment (a coordinator that loads, a leader that moves). What lasts longer comes to the
 * caller, who takes the transactional id anew and reads its position again: kafkajs's endless retries would hide that.
 */
const retry = { initialRetryTime: 50, maxRetryTime: 1000, retries: 8 };

/** A Kafka of the port over kafkajs 2. kafkajs's own log goes to `debug`: its errors reach the caller anyway, and many are passing ones. */
export function connectKafkaJs(config: KafkaConfig, logger: Logger): Kafka {
  registerZstd();
  logger.debug({ hasFasterInternals }, 'kafkajs');
  const { brokers } = config;
  const open = (): OwnClient =>
    ownClient({
      clientId: config.clientId,
      brokers,
      connectionTimeout: 3000,
      requestTimeout: 30_000,
      retry,
      ...(config.tls === undefined ? {} : { ssl: tlsOptions(config.tls) }),
      ...(config.sasl === undefined ? {} : { sasl: saslOptions(config.sasl) }),
      logCreator:
        () =>
        ({ namespace, log: { message, timestamp: _timestamp, logger: _logger, ...fields } }) =>
          logger.debug({ namespace, ...fields }, message),
    });
  const translate = (error: unknown, doing: string): unknown => translateKafkaError(error, brokers, doing);
  const admin = async (): Promise<KafkaAdmin> => {
    const client = open();
    const connected = client.kafka.admin();
    try {
      await connected.connect();
      return wrapAdmin(connected, client, translate);
    } catch (error) {
      client.close();
      throw translate(error, 'connect to Kafka');
    }
  };

  return {
    admin,
    transactionalProducer({ transactionalId, transactionTimeoutMs = 60_000 }) {
      const client = open();
      const producer = client.kafka.producer({
        transactionalId,
        transactionTimeout: transactionTimeoutMs,
        idempotent: true,
        maxInFlightRequests: 1,
        createPartitioner: placedPartitioner,
        retry,
        allowAutoTopicCreation: false,
      });
      return ownTransactionalId({
        producer,
        client,
        transactionalId,
        translate,
        partitionsOf: async (topic) => {
          await using session = await admin();
          return await session.partitionsOf(topic);
        },
      });
    },
    async consumer(options) {
      await requireTopics(await admin(), options.topics);
      const sticky = options.assignment === 'sticky' ? stickyAssigner() : null;
      const client = open();
      const consumer = groupConsumer(client.kafka, options, sticky);
      if (sticky !== null) consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => sticky.keep(payload.memberAssignment));
      return await runConsumer(consumer, client, options, translate);
    },
  };
}

function groupConsumer(
  client: KafkaJs,
  options: Parameters<Kafka['consumer']>[0],
  sticky: StickyAssigner | null,
): ReturnType<KafkaJs['consumer']> {
  const sessionTimeout = options.sessionTimeoutMs ?? 10_000;
  return client.consumer({
    groupId: options.groupId,
    readUncommitted: options.readUncommitted ?? false,
    sessionTimeout,
    heartbeatInterval: Math.ceil(sessionTimeout / 5),
    rebalanceTimeout: 30_000,
    maxBytesPerPartition: options.maxBytesPerPartition ?? 1_048_576,
    ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
    maxWaitTimeInMs: options.maxWaitMs ?? 100,
    allowAutoTopicCreation: false,
    ...(options.metadataMaxAgeMs === undefined ? {} : { metadataMaxAge: options.metadataMaxAgeMs }),
    ...(sticky === null ? {} : { partitionAssigners: [sticky.assigner] }),
    retry: { ...retry, retries: Number.MAX_SAFE_INTEGER },
  });
}

/** kafkajs's subscribe on a missing topic fails late and with another name's error. */
async function requireTopics(opened: KafkaAdmin, topics: readonly string[]): Promise<void> {
  await using admin = opened;
  const present = new Set(await admin.listTopics());
  const missing = topics.filter((topic) => !present.has(topic));
  if (missing.length > 0) throw new CdcError('TOPIC_MISSING', `topic ${missing.join(', ')} does not exist`);
}

function saslOptions({ mechanism, username, password }: NonNullable<KafkaConfig['sasl']>): SASLOptions {
  return { mechanism, username, password };
}
