// Before kafkajs itself.
import { hasFasterInternals, applyPatches } from './patches/apply-patches.ts';
import { CdcError, tlsOptions, type KafkaConfig, type Logger } from '#pipeline/index.ts';
import kafkajs, { type Kafka as KafkaJs, type KafkaConfig as KafkaJsConfig, type SASLOptions } from 'kafkajs';
import type { ConsumerOptions, Kafka, KafkaAdmin } from '../port.ts';
import { openAdmin, type AdminConnection } from './admin.ts';
import { runConsumer } from './consumer.ts';
import { askForTopic } from './patches/cluster.ts';
import { limitBatches } from './patches/fetch-answer.ts';
import type { KafkaJsMember } from './member.ts';
import { shareWhileUsed } from './share-while-used.ts';
import { openReader } from './topic-reader.ts';
import { translateKafkaError } from './errors.ts';
import { createSockets, unanswered, type Sockets } from './patches/sockets.ts';
import { stickyAssigner, type StickyAssigner } from './sticky-assigner.ts';
import { ownTransactionalId, placedPartitioner } from './producer.ts';
import { createTopicIds } from './topic-ids.ts';

/**
 * Retries inside kafkajs bridge what lasts a moment (a coordinator that loads, a leader that moves). What lasts longer comes to the
 * caller, who takes the transactional id again and reads its position again: kafkajs's endless retries would hide that.
 */
const retry = { initialRetryTime: 50, maxRetryTime: 1000, retries: 8 };

const connectTimeoutMs = 3000;
const defaultSessionMs = 10_000;
const rebalanceTimeoutMs = 30_000;

/** A Kafka of the port over kafkajs 2. kafkajs's own log goes to `debug`: its errors reach the caller anyway, and many are passing ones. */
export function connectKafkaJs(config: KafkaConfig, logger: Logger): Kafka {
  applyPatches();
  limitBatches(config.maxBatchMb * 2 ** 20);
  logger.debug({ hasFasterInternals }, 'kafkajs');
  const { brokers } = config;
  const translate = (error: unknown, doing: string): unknown => translateKafkaError(error, brokers, doing);
  /** A client with sockets of its own, for one producer, admin or member. */
  const makeClient = (): { client: KafkaJs; sockets: Sockets } => {
    const sockets = createSockets(config.sasl === undefined ? null : config.requestTimeoutMs);
    return { client: new kafkajs.Kafka({ ...clientOptions(config, logger), socketFactory: sockets.create }), sockets };
  };
  const connectAdmin = async (): Promise<AdminConnection> => {
    const { client, sockets } = makeClient();
    const admin = client.admin();
    admin.on(admin.events.REQUEST_TIMEOUT, (event) => sockets.cut(unanswered(event)));
    try {
      await sockets.whileOpen(admin.connect());
    } catch (error) {
      sockets.cut();
      throw translate(error, 'connect to Kafka');
    }
    return { admin, sockets };
  };
  const admin = (): Promise<KafkaAdmin> => openAdmin(connectAdmin, translate, createTopicIds(makeClient, translate));
  const withAdmin = shareWhileUsed(admin);

  return {
    admin,
    async transactionalProducer({ transactionalId, transactionTimeoutMs = 60_000, topic }) {
      const { client, sockets } = makeClient();
      if (topic !== undefined) askForTopic(client, topic);
      const producer = client.producer({
        transactionalId,
        transactionTimeout: transactionTimeoutMs,
        idempotent: true,
        maxInFlightRequests: 1,
        createPartitioner: placedPartitioner,
        retry,
        allowAutoTopicCreation: false,
      });
      producer.on(producer.events.REQUEST_TIMEOUT, (event) => sockets.cut(unanswered(event)));
      return await ownTransactionalId({
        producer,
        sockets,
        requestTimeoutMs: config.requestTimeoutMs,
        compression: config.compression,
        transactionalId,
        translate,
        partitionsOf: (of) => withAdmin((asking) => asking.partitionsOf(of)),
      });
    },
    async consumer(options) {
      const sticky = options.assignment === 'sticky' ? stickyAssigner() : null;
      const requireTopics = async (): Promise<void> => {
        const present = await withAdmin((asking) => asking.topicIds(options.topics));
        const missing = options.topics.filter((topic) => !present.has(topic));
        // kafkajs's subscribe on a missing topic fails late and with another name's error.
        if (missing.length > 0) throw new CdcError('TOPIC_MISSING', `topic ${missing.join(', ')} does not exist`);
      };
      const makeMember = (): KafkaJsMember => {
        const { client, sockets } = makeClient();
        const sessionTimeoutMs = options.sessionTimeoutMs ?? defaultSessionMs;
        const consumer = groupConsumer(client, options, sessionTimeoutMs, sticky);
        if (sticky !== null) consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => sticky.keep(payload.memberAssignment));
        // A member that heard nothing for its session is expelled; a rebalance and one more request may come on top.
        return { consumer, sockets, silenceMs: sessionTimeoutMs + rebalanceTimeoutMs + config.requestTimeoutMs };
      };
      await requireTopics();
      return await runConsumer(makeMember, options, { translate, logger });
    },
    reader: (options) => openReader(makeClient(), { ...options, requestTimeoutMs: config.requestTimeoutMs, translate }),
  };
}

function clientOptions(config: KafkaConfig, logger: Logger): KafkaJsConfig {
  return {
    clientId: config.clientId,
    brokers: [...config.brokers],
    connectionTimeout: connectTimeoutMs,
    authenticationTimeout: config.requestTimeoutMs,
    requestTimeout: config.requestTimeoutMs,
    retry,
    ...(config.tls === undefined ? {} : { ssl: tlsOptions(config.tls) }),
    ...(config.sasl === undefined ? {} : { sasl: saslOptions(config.sasl) }),
    logCreator:
      () =>
      ({ namespace, log: { message, timestamp: _timestamp, logger: _logger, ...fields } }) =>
        logger.debug({ namespace, ...fields }, message),
  };
}

function groupConsumer(
  client: KafkaJs,
  options: ConsumerOptions,
  sessionTimeout: number,
  sticky: StickyAssigner | null,
): ReturnType<KafkaJs['consumer']> {
  return client.consumer({
    groupId: options.groupId,
    readUncommitted: options.readUncommitted ?? false,
    sessionTimeout,
    heartbeatInterval: Math.ceil(sessionTimeout / 5),
    rebalanceTimeout: rebalanceTimeoutMs,
    maxBytesPerPartition: options.maxBytesPerPartition ?? 1_048_576,
    ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
    maxWaitTimeInMs: options.maxWaitMs ?? 100,
    allowAutoTopicCreation: false,
    ...(options.metadataMaxAgeMs === undefined ? {} : { metadataMaxAge: options.metadataMaxAgeMs }),
    ...(sticky === null ? {} : { partitionAssigners: [sticky.assigner] }),
    // consumer.ts makes a new one in its place.
    retry: { ...retry, restartOnFailure: async () => false },
  });
}

function saslOptions({ mechanism, username, password }: NonNullable<KafkaConfig['sasl']>): SASLOptions {
  return { mechanism, username, password };
}
