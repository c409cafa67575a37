import type { Producer, Transaction } from 'kafkajs';
import type { EncodedRecords, KafkaTransaction, OutgoingMessage, TransactionalProducer } from '../port.ts';
import type { Compression } from '../write/compress.ts';
import { enoughPartitions } from '../write/enough-partitions.ts';
import { packRecords, writeRecords } from '../write/record-batch.ts';
import { countRecords, describeRequest, planRequests, requestsOf } from '../write/request-plan.ts';
import { placeholders } from './patches/packed-produce.ts';
import { close, type Sockets } from './patches/sockets.ts';
import { closeTransaction, openTransaction, planPartitions } from './patches/transaction-requests.ts';

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

  const partitionsOf = async (topic: string, again = false): Promise<number> => {
    const known = (again ? undefined : counts.get(topic)) ?? (await context.partitionsOf(topic));
    counts.set(topic, known);
    return known;
  };

  return {
    async partitionsOf(topic) {
      try {
        return await partitionsOf(topic);
      } catch (error) {
        throw translate(error, `look up topic ${topic}`);
      }
    },
    async begin(also = []) {
      try {
        const transaction = await sockets.whileOpen(producer.transaction());
        openTransaction(transactionalId);
        for (const { topic, partition } of also) planPartitions(transactionalId, topic, [partition]);
        return wrapTransaction(transaction, partitionsOf, context);
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
  partitionsOf: (topic: string, again: boolean) => Promise<number>,
  { sockets, requestTimeoutMs, compression, transactionalId, translate }: ProducerContext,
): KafkaTransaction {
  const sendRequest = async (topic: string, batches: readonly EncodedRecords[], doing: string): Promise<void> => {
    const now = Date.now();
    planPartitions(
      transactionalId,
      topic,
      batches.map(({ partition }) => partition),
    );
    // A request has one partition: of one to several leaders, kafkajs's own retry repeats (under new sequence numbers, so twice in the
    // log) or leaves out (lost) what belongs to a partition whose leader has moved in between.
    const sent = await Promise.allSettled(
      batches.map(async (batch) => {
        const messages = placeholders(batch.partition, await packRecords(batch, now, compression));
        await sockets.whileOpen(transaction.sendBatch({ acks: -1, timeout: requestTimeoutMs, topicMessages: [{ topic, messages }] }));
      }),
    );
    const failed = sent.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw translate(failed.reason, doing);
  };
  return {
    async send(topic: string, messages: readonly OutgoingMessage[]) {
      const partitions = await enoughPartitions(messages, (again) => partitionsOf(topic, again));
      for (const request of planRequests(messages, partitions)) {
        const batches = request.map(({ partition, messages: batch }) => ({ partition, ...writeRecords(batch) }));
        await sendRequest(topic, batches, `write ${describeRequest(request)} to topic ${topic}`);
      }
    },
    async sendRecords(topic, batches) {
      const doing = `write ${countRecords(batches)} events to topic ${topic}`;
      for (const request of requestsOf(batches)) await sendRequest(topic, request, doing);
    },
    async commit() {
      closeTransaction(transactionalId);
      try {
        await sockets.whileOpen(transaction.commit());
      } catch (error) {
        throw translate(error, `commit a transaction of ${transactionalId}`);
      }
    },
    async abort() {
      closeTransaction(transactionalId);
      try {
        await sockets.whileOpen(transaction.abort());
      } catch (error) {
        throw translate(error, `abort a transaction of ${transactionalId}`);
      }
    },
  };
}

/** Every message comes with its partition (planRequests), so kafkajs has nothing left to decide. */
export function placedPartitioner(): (args: { readonly message: { readonly partition?: number } }) => number {
  return ({ message }) => {
    if (message.partition === undefined) throw new TypeError('a message without partition reached kafkajs');
    return message.partition;
  };
}
