import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
// As the program does: the adapter is what imports kafkajs first.
import { connectKafkaJs } from '#kafka/kafkajs/connect-kafka.ts';
import { groupMessages } from '#kafka/kafkajs/patches/faster-internals.ts';
import { fetchedOffset } from '#kafka/kafkajs/patches/fetched-offset.ts';
import { hasFasterInternals } from '#kafka/kafkajs/patches/apply-patches.ts';
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
