import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConsumedMessage } from '#kafka/index.ts';
import { takeGroup, type Waiting } from '#read-model/apply/group.ts';

const message: ConsumedMessage = { offset: 0n, key: null, value: null, timestamp: 0, headers: {} };

function waiting(...places: readonly (readonly [string, number])[]): Waiting {
  return {
    batches: places.map(([place, events]) => ({
      topic: place,
      partition: 0,
      messages: Array.from({ length: events }, () => message),
    })),
  };
}

test('what waits goes together, but of one partition only the first', () => {
  const [a, b, again] = [waiting(['a', 5]), waiting(['b', 5]), waiting(['a', 1])];
  const queue = [a, b, again];
  assert.deepEqual(takeGroup(queue, 1), [a, b]);
  assert.deepEqual(queue, [again]);
});

test('the first goes whatever its size; others while they fit', () => {
  const [large, small] = [waiting(['a', 30_000]), waiting(['b', 5])];
  const queue = [large, small];
  assert.deepEqual(takeGroup(queue, 1), [large]);
  const [full, more] = [waiting(['a', 19_998]), waiting(['b', 5])];
  assert.deepEqual(takeGroup([full, more], 1), [full]);
});

test('of much that waits, each idle transaction is left its share; little is not shared out', () => {
  const much = ['a', 'b', 'c', 'd'].map((place) => waiting([place, 4000]));
  assert.deepEqual(takeGroup([...much], 2), much.slice(0, 2));
  assert.deepEqual(takeGroup([...much], 1), much);
  const little = ['a', 'b', 'c', 'd'].map((place) => waiting([place, 10]));
  assert.deepEqual(takeGroup([...little], 2), little);
});

test('batches that belong together stay together', () => {
  const [both, one] = [waiting(['a', 1], ['b', 1]), waiting(['b', 1])];
  const queue = [both, one];
  assert.deepEqual(takeGroup(queue, 2), [both]);
  assert.deepEqual(queue, [one]);
});
