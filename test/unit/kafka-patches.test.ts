import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
// As the program does: the adapter is what imports kafkajs first.
import { connectKafkaJs } from '#kafka/kafkajs/connect-kafka.ts';
import { groupMessages } from '#kafka/kafkajs/patches/faster-internals.ts';
import { fetchedOffset } from '#kafka/kafkajs/patches/fetched-offset.ts';
import { hasFasterInternals } from '#kafka/kafkajs/patches/apply-patches.ts';
import { closeTransaction, openTransaction, planPartitions } from '#kafka/kafkajs/patches/transaction-requests.ts';
import { silentLogger } from '#pipeline/index.ts';

const require = createRequire(import.meta.url);
connectKafkaJs(
  {
    brokers: ['127.0.0.1:1'],
    clientId: 'unit',
    client: 'kafkajs',
    requestTimeoutMs: 1000,
    whenUnavailable: 'exit',
    maxBatchMb: 64,
    compression: 'zstd',
    partitions: 1,
    replicationFactor: 1,
  },
  silentLogger,
);

type Batch = { firstOffset(): string | null };

function batchOf(fetchedFrom: string, messages: readonly { readonly offset: string; readonly isControlRecord: boolean }[]): Batch {
  const made: unknown = require('kafkajs/src/consumer/batch');
  assert.ok(typeof made === 'function');
  const batch: Batch = Reflect.construct(made, [
    'topic',
    fetchedFrom,
    { partition: 0, highWatermark: '20', abortedTransactions: [], messages },
  ]);
  return batch;
}

test('the installed kafkajs is the version whose functions are replaced, and they were before it took them', () =>
  assert.ok(hasFasterInternals));

test('kafkajs groups with the faster function', () => {
  const grouping: unknown = require('kafkajs/src/producer/groupMessagesPerPartition');
  assert.equal(grouping, groupMessages);
});

test('a batch of control records says from where it was asked for, also behind a hole of the log', () => {
  const batch = batchOf('5', [{ offset: '9', isControlRecord: true }]);
  assert.equal(batch.firstOffset(), '5');
  assert.equal(fetchedOffset(batch), 5n);
});

test('a batch with messages still names its first record', () => {
  const batch = batchOf('5', [
    { offset: '7', isControlRecord: false },
    { offset: '8', isControlRecord: true },
  ]);
  assert.equal(batch.firstOffset(), '7');
  assert.equal(fetchedOffset(batch), 5n);
});

type Queue = {
  push(request: object): void;
  fulfillRequest(answer: object): void;
  maybeThrottle(ms: number): void;
  scheduleRequestTimeoutCheck(): void;
  destroy(): void;
  throttleCheckTimeoutId: unknown;
  requestTimeoutIntervalId: unknown;
};

/** A connection's queue with one request in flight at a time, and what was sent. */
function queueOf(
  sent: number[],
  rejected: unknown[],
  requestTimeout = 60_000,
): { readonly queue: Queue; readonly request: (id: number) => void } {
  const made: unknown = require('kafkajs/src/network/requestQueue');
  assert.ok(typeof made === 'function');
  const queue: Queue = Reflect.construct(made, [
    {
      maxInFlightRequests: 1,
      requestTimeout,
      enforceRequestTimeout: true,
      clientId: 'unit',
      broker: 'none',
      logger: { debug: () => undefined, error: () => undefined },
      isConnected: () => true,
    },
  ]);
  const request = (correlationId: number): void =>
    queue.push({
      entry: {
        correlationId,
        apiKey: 3,
        apiVersion: 6,
        apiName: 'Metadata',
        resolve: () => undefined,
        reject: (error: unknown) => rejected.push(error),
      },
      expectResponse: true,
      sendRequest: () => sent.push(correlationId),
    });
  return { queue, request };
}

test('a connection of kafkajs looks at its queue only while requests wait in it, and sends them when it may', async (context) => {
  const sent: number[] = [];
  const { queue, request } = queueOf(sent, []);
  context.after(() => queue.destroy());
  request(1);
  assert.deepEqual([sent, queue.throttleCheckTimeoutId], [[1], null]);
  request(2);
  assert.notEqual(queue.throttleCheckTimeoutId, null);
  const answer = (correlationId: number): void => queue.fulfillRequest({ correlationId, payload: Buffer.alloc(0), size: 0 });
  answer(1);
  assert.deepEqual(sent, [1, 2]);
  answer(2);
  // The look that was under way finds nothing, and is the last.
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(queue.throttleCheckTimeoutId, null);
  // A broker that asks for a pause gets one, and then what waited.
  queue.maybeThrottle(50);
  request(3);
  assert.deepEqual(sent, [1, 2]);
  while (sent.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
});

test('a request that is not answered in its time is given up', async () => {
  const rejected: unknown[] = [];
  const { queue, request } = queueOf([], rejected, 50);
  queue.scheduleRequestTimeoutCheck();
  request(1);
  while (rejected.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(String(rejected[0]), /timed out/);
  queue.destroy();
});

const t = (...partitions: readonly number[]): unknown => ({ topic: 't', partitions });

/** A broker of kafkajs' that is asked for nothing but the partitions of transactions, and who coordinates them. */
function coordinators(): {
  readonly asked: { readonly producerEpoch: number; readonly topics: unknown }[];
  readonly add: (id: string, epoch: number, topic: string, ...partitions: readonly number[]) => Promise<unknown>;
  readonly find: (id: string) => Promise<unknown>;
  readonly brokers: { isConnected: () => boolean }[];
} {
  const [broker, cluster]: unknown[] = [require('kafkajs/src/broker'), require('kafkajs/src/cluster')];
  assert.ok(typeof broker === 'function' && typeof cluster === 'function');
  const asked: { readonly producerEpoch: number; readonly topics: unknown }[] = [];
  const brokers: { isConnected: () => boolean }[] = [];
  const made: object = Object.create(broker.prototype);
  // Requests are made by what has a symbol for a name.
  const sends = Object.getOwnPropertySymbols(broker.prototype).find((symbol) => symbol.description?.includes('sendRequest') === true);
  assert.ok(sends !== undefined);
  Reflect.set(made, 'lookupRequest', () => (question: unknown) => question);
  Reflect.set(made, sends, async ({ producerEpoch, topics }: (typeof asked)[number]) => {
    asked.push({ producerEpoch, topics });
    if (JSON.stringify(topics).includes('refused')) throw new Error('refused');
    return await Promise.resolve(asked.length);
  });
  const looking: object = Object.create(cluster.prototype);
  Reflect.set(looking, 'retrier', async () => {
    const found = { isConnected: () => true };
    brokers.push(found);
    return await Promise.resolve(found);
  });
  const [addPartitions, findCoordinator]: unknown[] = [
    Reflect.get(made, 'addPartitionsToTxn'),
    Reflect.get(looking, 'findGroupCoordinator'),
  ];
  assert.ok(typeof addPartitions === 'function' && typeof findCoordinator === 'function');
  return {
    asked,
    brokers,
    add: async (transactionalId, producerEpoch, topic, ...partitions) =>
      await Reflect.apply(addPartitions, made, [{ transactionalId, producerId: 7n, producerEpoch, topics: [{ topic, partitions }] }]),
    find: async (groupId) => await Reflect.apply(findCoordinator, looking, [{ groupId, coordinatorType: 1 }]),
  };
}

test('a transaction names all its planned partitions at once, and later only those that its coordinator does not know', async () => {
  const { asked, add } = coordinators();
  openTransaction('a');
  planPartitions('a', 't', [0, 1]);
  await add('a', 0, 't', 0);
  await add('a', 0, 't', 1);
  planPartitions('a', 'u', [3]);
  await add('a', 0, 't', 2);
  await add('a', 0, 'u', 3);
  // Another owner's epoch knows of none of it.
  await add('a', 1, 't', 0);
  closeTransaction('a');
  openTransaction('a');
  await add('a', 1, 't', 0);
  assert.deepEqual(asked, [
    { producerEpoch: 0, topics: [t(0, 1)] },
    { producerEpoch: 0, topics: [t(2), { topic: 'u', partitions: [3] }] },
    { producerEpoch: 1, topics: [t(0)] },
    { producerEpoch: 1, topics: [t(0)] },
  ]);
  closeTransaction('a');
});

test('what the coordinator refused, it is asked again, and looked up again; so is one that is gone, and at the end of the transaction', async () => {
  const { asked, brokers, add, find } = coordinators();
  openTransaction('a');
  const first = await find('a');
  assert.equal(await find('a'), first);
  planPartitions('a', 'refused', [0]);
  await assert.rejects(add('a', 0, 't', 0), /refused/);
  const second = await find('a');
  assert.notEqual(second, first);
  await assert.rejects(add('a', 0, 't', 0), /refused/);
  assert.equal(asked.length, 2);
  const third = await find('a');
  const gone = brokers.at(-1);
  assert.ok(gone === third && gone !== undefined);
  gone.isConnected = () => false;
  const fourth = await find('a');
  assert.notEqual(fourth, third);
  closeTransaction('a');
  assert.notEqual(await find('a'), fourth);
  assert.notEqual(await find('b'), await find('b'));
  openTransaction('a');
  const own = await find('a');
  // Another client of this process has connections of its own.
  assert.notEqual(await coordinators().find('a'), own);
  closeTransaction('a');
});

test('a partition that kafkajs has not read of is refused as the broker would, and not left out of a request', () => {
  const made: unknown = require('kafkajs/src/cluster');
  assert.ok(typeof made === 'function');
  const cluster: object = Object.create(made.prototype);
  Reflect.set(cluster, 'findTopicPartitionMetadata', () => [
    { partitionId: 0, leader: 1 },
    { partitionId: 1, leader: 2 },
  ]);
  const find: unknown = Reflect.get(cluster, 'findLeaderForPartitions');
  assert.ok(typeof find === 'function');
  // A producer asks with texts.
  assert.deepEqual(Reflect.apply(find, cluster, ['t', ['0', '1']]), { 1: [0], 2: [1] });
  assert.throws(() => Reflect.apply(find, cluster, ['t', ['1', '2']]), { type: 'UNKNOWN_TOPIC_OR_PARTITION', retriable: true });
});
