import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCounter, summary, type TestOutcome } from '#test/support/run-files.ts';

const outcome = (name: string, nesting: number, more: Partial<TestOutcome> = {}): TestOutcome => ({
  name,
  nesting,
  file: '/t/a.test.ts',
  details: { type: 'test' },
  ...more,
});
const failed = (failureType: string): Partial<TestOutcome> => ({
  details: { type: 'test', error: Object.assign(new Error('x'), { failureType }) },
});

test('leaf tests count; suites and parents count only when they fail by themselves', () => {
  const counter = createCounter();
  counter.add(true, outcome('leaf', 0));
  counter.add(true, outcome('child', 1));
  counter.add(false, outcome('child', 1, failed('testCodeFailure')));
  counter.add(false, outcome('parent whose child failed', 0, failed('subtestsFailed')));
  counter.add(true, outcome('child', 1));
  counter.add(false, outcome('parent that fails itself', 0, failed('testCodeFailure')));
  counter.add(true, outcome('empty suite', 0, { details: { type: 'suite' } }));
  counter.add(true, outcome('left out', 0, { skip: true }));
  counter.add(false, outcome('for later', 0, { todo: 'some day', ...failed('testCodeFailure') }));
  assert.deepEqual(counter.tally(), { passed: 3, failed: 2, skipped: 2 });
  assert.equal(summary(counter.tally()), '3 passed, 2 failed, 2 skipped');
});
