import type { Message, Producer, Transaction } from 'kafkajs';
import { compressionCodes, type Compression } from '../compress.ts';
import { describeRequest, maxBytesPerPartition, planRequests, type RequestBounds } from '../request-plan.ts';
import type { KafkaTransaction, OutgoingMessage, TransactionalProducer } from '../port.ts';
import { close, type Sockets } from './patches/sockets.ts';

/** kafkajs has one request at a time under way to a broker: many messages in each, and few waits. */
const bounds: RequestBounds = { maxBytesPerPartition, maxMessagesPerPartition: 1000 };

/** What the producer needs of the connection it belongs to. */
export type ProducerContext = {
  readonly producer: Producer;
  readonly sockets: Sockets;
  readonly requestTimeoutMs: number;
  readonly compression: Compression;
  readonly transactionalId: string;
  readonly partitionsOf: (topic: string) => Promise<number>;
  readonly translate: (error: unknown, doing: string) => unknown;
};

/**
 * Becomes the owner of the transactional id before it returns: kafkajs asks for the producer id (which fences older owners and ends their
 * transaction) on the first `transaction()`, so an empty one is begun and ended, which costs no request.
 */
export async function ownTransactionalId(context: ProducerContext): Promise<TransactionalProducer> {
  const { producer, sockets, transactionalId, translate } = context;
  const counts = new Map<string, number>();
  try {
    await sockets.whileOpen(producer.connect());
    const empty = await sockets.whileOpen(producer.transaction());
    await empty.abort();
  } catch (error) {
    await close(producer, sockets, 0);
    throw translate(error, `take transactional id ${transactionalId}`);
  }

  const partitionsOf = async (topic: string): Promise<number> => {
    const known = counts.get(topic) ?? (await context.partitionsOf(topic));
    counts.set(topic, known);
    return known;
  };

  return {
    async begin() {
      try {
        return wrapTransaction(await sockets.whileOpen(producer.transaction()), partitionsOf, context);
      } catch (error) {
        throw translate(error, `begin a transaction of ${transactionalId}`);
      }
    },
    async [Symbol.asyncDispose]() {
      await close(producer, sockets);
    },
  };
}

function wrapTransaction(
  transaction: Transaction,
  partitionsOf: (topic: string) => Promise<number>,
  { sockets, requestTimeoutMs, compression, transactionalId, translate }: ProducerContext,
): KafkaTransaction {
  return {
    async send(topic: string, messages: readonly OutgoingMessage[]) {
      for (const request of planRequests(messages, await partitionsOf(topic), bounds)) {
        // A request has one partition: of one to several leaders, kafkajs's own retry repeats (under new sequence numbers, so twice in the
        // log) or leaves out (lost) what belongs to a partition whose leader has moved in between.
        const sent = await Promise.allSettled(
          request.map(({ partition, messages: batch }) =>
            sockets.whileOpen(
              transaction.sendBatch({
                acks: -1,
                timeout: requestTimeoutMs,
                compression: compressionCodes[compression],
                topicMessages: [{ topic, messages: batch.map((message) => toKafkaJs(message, partition)) }],
              }),
            ),
          ),
        );
        const failed = sent.find((outcome) => outcome.status === 'rejected');
        if (failed !== undefined) throw translate(failed.reason, `write ${describeRequest(request)} to topic ${topic}`);
      }
    },
    async commit() {
      try {
        await sockets.whileOpen(transaction.commit());
      } catch (error) {
        throw translate(error, `commit a transaction of ${transactionalId}`);
      }
    },
    async abort() {
      try {
        await sockets.whileOpen(transaction.abort());
      } catch (error) {
        throw translate(error, `abort a transaction of ${transactionalId}`);
      }
    },
  };
}

function toKafkaJs({ key, value, valueBytes, headers }: OutgoingMessage, partition: number): Message & { readonly valueBytes?: number } {
  const size = valueBytes === undefined ? {} : { valueBytes };
  return headers === undefined ? { key, value, partition, ...size } : { key, value, partition, ...size, headers: { ...headers } };
}

/** Every message comes with its partition (planRequests), so kafkajs has nothing left to decide. */
export function placedPartitioner(): (args: { readonly message: { readonly partition?: number } }) => number {
  return ({ message }) => {
    if (message.partition === undefined) throw new TypeError('a message without partition reached kafkajs');
    return message.partition;
  };
}
