import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fetchedOffset } from '#kafka/kafkajs/fetched-offset.ts';

type Batch = { firstOffset(): string | null };

function batchOf(fetchedFrom: string, messages: readonly { readonly offset: string; readonly isControlRecord: boolean }[]): Batch {
  const made: unknown = createRequire(import.meta.url)('kafkajs/src/consumer/batch');
  assert.ok(typeof made === 'function');
  const batch: Batch = Reflect.construct(made, [
    'topic',
    fetchedFrom,
    { partition: 0, highWatermark: '20', abortedTransactions: [], messages },
  ]);
  return batch;
}

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
