import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TopicProgress } from '#comparison/observer/topic-progress.ts';

test('a partition is read to its end when what comes next is past it, control records included', () => {
  const progress = new TopicProgress();
  progress.start('t', 0, 5n);
  progress.start('t', 1, 0n);
  const ends = [
    { partition: 0, high: 9n },
    { partition: 1, high: 0n },
  ];
  progress.advance('t', 0, 8n);
  assert.equal(progress.reached('t', ends), false);
  progress.advance('t', 0, 9n);
  assert.equal(progress.reached('t', ends), true);
});

test('a model has applied everything when it is past the last message, though control records follow it', () => {
  const progress = new TopicProgress();
  progress.start('t', 0, 5n);
  progress.start('t', 1, 7n);
  progress.sawMessage('t', 0, 11n);
  progress.advance('t', 0, 13n);
  assert.deepEqual(progress.dataEnds('t'), new Map([[0, 12n]]));
});

test('messages that come again do not set the reading back; a new partition counts from its first message', () => {
  const progress = new TopicProgress();
  progress.start('t', 0, 5n);
  progress.advance('t', 0, 10n);
  progress.advance('t', 0, 6n);
  assert.equal(progress.next('t', 0), 10n);
  assert.equal(progress.next('t', 3), 0n);
});
