import { setTimeout as delay } from 'node:timers/promises';
import { addPartitionsToTxnV3, endTxnV3, initProducerIdV4, type Base, type ClusterMetadata } from '@platformatic/kafka';
import type { EncodedRecords, KafkaTransaction, OutgoingMessage, TopicPartition, TransactionalProducer } from '../../port.ts';
import type { Compression } from '../../write/compress.ts';
import { enoughPartitions } from '../../write/enough-partitions.ts';
import { packRecords, sealBatch, writeRecords, type RecordBody } from '../../write/record-batch.ts';
import { describeRequest, countRecords, planRequests, requestsOf } from '../../write/request-plan.ts';
import { attempts, backOffMs } from '../client-options.ts';
import { transactionCoordinator, type Coordinator } from '../coordinator.ts';
import { isPassing, isSilence, NoLeaderError } from '../errors.ts';
import { close } from '../close.ts';
import { produce, type ProduceOutcome } from './produce-request.ts';

export type ProducerContext = {
  readonly client: Base;
  readonly transactionalId: string;
  readonly transactionTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly compression: Compression;
  readonly translate: (error: unknown, doing: string) => unknown;
};

type Owner = ProducerContext & {
  readonly coordinator: Coordinator;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** By `topic/partition`: how many records this producer has sent there. */
  readonly sequences: Map<string, number>;
};

/**
 * Takes the transactional id: the broker fences older owners and ends their transaction. The transaction protocol is spoken here, with the
 * library's requests: its own producer keeps its numbering of batches to itself, and so would not send batches that were encoded outside.
 */
export async function ownTransactionalId(context: ProducerContext): Promise<TransactionalProducer> {
  const { client, transactionalId, transactionTimeoutMs, translate } = context;
  const coordinator = transactionCoordinator(client, transactionalId);
  let owner: Owner;
  try {
    const { producerId, producerEpoch } = await coordinator.ask((connection) =>
      initProducerIdV4.api.async(connection, transactionalId, transactionTimeoutMs),
    );
    owner = { ...context, coordinator, producerId, producerEpoch, sequences: new Map() };
  } catch (error) {
    await close(client);
    throw translate(error, `take transactional id ${transactionalId}`);
  }
  return {
    begin: async (also = []) => createTransaction(owner, also),
    async partitionsOf(topic) {
      try {
        return await countPartitions(client, topic);
      } catch (error) {
        throw translate(error, `look up topic ${topic}`);
      }
    },
    async [Symbol.asyncDispose]() {
      await close(client);
    },
  };
}

function createTransaction(owner: Owner, also: readonly TopicPartition[]): KafkaTransaction {
  const { client, coordinator, transactionalId, producerId, producerEpoch, translate } = owner;
  const added = new Set<string>();
  const end = async (commit: boolean): Promise<void> => {
    // Without partitions the broker knows of no transaction.
    if (added.size === 0) return;
    try {
      await coordinator.ask((connection) => endTxnV3.api.async(connection, transactionalId, producerId, producerEpoch, commit));
    } catch (error) {
      throw translate(error, `${commit ? 'commit' : 'abort'} a transaction of ${transactionalId}`);
    }
  };
  let adding: Promise<void> = Promise.resolve();
  const addMissing = async (topic: string, partitions: readonly number[]): Promise<void> => {
    if (partitions.every((partition) => added.has(`${topic}/${partition}`))) return;
    const asked = [...also, ...partitions.map((partition) => ({ topic, partition }))];
    const missing = asked.filter((one) => !added.has(`${one.topic}/${one.partition}`));
    const byTopic = Map.groupBy(missing, (one) => one.topic);
    const topics = [...byTopic].map(([name, ofTopic]) => ({ name, partitions: [...new Set(ofTopic.map(({ partition }) => partition))] }));
    await coordinator.ask((connection) =>
      addPartitionsToTxnV3.api.async(connection, [{ transactionalId, producerId, producerEpoch, verifyOnly: false, topics }]),
    );
    for (const one of missing) added.add(`${one.topic}/${one.partition}`);
  };
  /** One request at a time: sends that run side by side then ask once. */
  const add = (topic: string, partitions: readonly number[]): Promise<void> => {
    const previous = adding;
    adding = (async () => {
      await previous.catch(() => undefined);
      await addMissing(topic, partitions);
    })();
    return adding;
  };
  const sendRequest = async (topic: string, batches: readonly EncodedRecords[]): Promise<void> => {
    const now = Date.now();
    const bodies = batches.map(async (batch) => [batch.partition, await packRecords(batch, now, owner.compression)] as const);
    const packed = Promise.all(bodies);
    // It is awaited once the broker knows the partitions; should that fail, its own failure is not news.
    packed.catch(() => undefined);
    await add(
      topic,
      batches.map(({ partition }) => partition),
    );
    await deliver(owner, topic, new Map(await packed));
  };
  return {
    async send(topic: string, messages: readonly OutgoingMessage[]) {
      let doing = `write to topic ${topic}`;
      try {
        const partitions = await enoughPartitions(messages, (again) => countPartitions(client, topic, again));
        for (const request of planRequests(messages, partitions)) {
          doing = `write ${describeRequest(request)} to topic ${topic}`;
          await sendRequest(
            topic,
            request.map(({ partition, messages: batch }) => ({ partition, ...writeRecords(batch) })),
          );
        }
      } catch (error) {
        throw translate(error, doing);
      }
    },
    async sendRecords(topic, batches) {
      try {
        for (const request of requestsOf(batches)) await sendRequest(topic, request);
      } catch (error) {
        throw translate(error, `write ${countRecords(batches)} events to topic ${topic}`);
      }
    },
    commit: () => end(true),
    abort: () => end(false),
  };
}

async function countPartitions(client: Base, topic: string, again = false): Promise<number> {
  const metadata = await client.metadata({ topics: [topic], forceUpdate: again });
  return metadata.topics.get(topic)?.partitionsCount ?? 0;
}

/**
 * Sends batches until the broker has all of them. What is sent again keeps its sequence numbers, by which the broker knows what it has; only
 * what was taken moves them on.
 */
async function deliver(owner: Owner, topic: string, bodies: Map<number, RecordBody>): Promise<void> {
  for (let attempt = 0; bodies.size > 0; attempt += 1) {
    try {
      await sendOnce(owner, topic, bodies, attempt > 0);
    } catch (error) {
      if (attempt >= attempts || !isPassing(error) || isSilence(error)) throw error;
      await delay(backOffMs(attempt));
    }
  }
}

/** Strikes off what the brokers took, also where some of it was refused. */
async function sendOnce(owner: Owner, topic: string, bodies: Map<number, RecordBody>, again: boolean): Promise<void> {
  const metadata = await owner.client.metadata({ topics: [topic], forceUpdate: again });
  const requests = [...Map.groupBy(bodies, ([partition]) => leaderOf(metadata, topic, partition))];
  const answers = await Promise.allSettled(requests.map(([leader, batches]) => sendTo(owner, metadata, leader, topic, batches)));
  const taken = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const refused = take(owner, topic, bodies, taken);
  const lost = answers.find((answer) => answer.status === 'rejected');
  if (lost !== undefined) throw lost.reason;
  if (refused !== null) throw refused;
}

async function sendTo(
  { client, transactionalId, requestTimeoutMs, producerId, producerEpoch, sequences }: Owner,
  metadata: ClusterMetadata,
  leader: number,
  topic: string,
  batches: readonly (readonly [partition: number, body: RecordBody])[],
): Promise<readonly ProduceOutcome[]> {
  const broker = metadata.brokers.get(leader);
  if (broker === undefined) throw new NoLeaderError(topic);
  const connection = await client.connections.get(broker);
  const sealed = batches.map(([partition, body]) => {
    const firstSequence = sequences.get(`${topic}/${partition}`) ?? 0;
    return { partition, batch: sealBatch(body, { producerId, producerEpoch, firstSequence }) };
  });
  return await produce(connection, transactionalId, topic, sealed, requestTimeoutMs);
}

/** Strikes off what was taken; gives the error of what was not. */
function take({ sequences }: Owner, topic: string, bodies: Map<number, RecordBody>, outcomes: readonly ProduceOutcome[]): Error | null {
  let failure: Error | null = null;
  for (const { partition, error } of outcomes) {
    if (error !== null && error['apiId'] !== 'DUPLICATE_SEQUENCE_NUMBER') {
      failure = error;
      continue;
    }
    const name = `${topic}/${partition}`;
    // Sequence numbers go round after 2^31 - 1.
    sequences.set(name, ((sequences.get(name) ?? 0) + (bodies.get(partition)?.count ?? 0)) % 2 ** 31);
    bodies.delete(partition);
  }
  return failure;
}

function leaderOf(metadata: ClusterMetadata, topic: string, partition: number): number {
  return metadata.topics.get(topic)?.partitions[partition]?.leader ?? -1;
}
