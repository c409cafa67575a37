import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { operationKinds, type Operation, type Step } from '#legacy-db/workload/operation.ts';
import { planWorkload } from '#legacy-db/index.ts';

const anySeed = fc.nat();

function take(seed: number, count: number, rate = 50): Operation[] {
  return planWorkload({ seed, rate }).take(count).toArray();
}

function deeds(rate: number): unknown[] {
  return take(7, 300, rate).map(({ kind, transactions }) => ({ kind, transactions }));
}

/** All steps, those inside savepoints included. */
function stepsOf(operation: Operation): Step[] {
  const flatten = (step: Step): Step[] => (step.do === 'savepoint' ? [step, ...step.steps.flatMap(flatten)] : [step]);
  return operation.transactions.flatMap((transaction) => transaction.steps.flatMap(flatten));
}

test('the plan is a function of its seed, and a longer plan begins like a shorter one', () => {
  fc.assert(
    fc.property(anySeed, fc.nat({ max: 60 }), fc.nat({ max: 60 }), (seed, count, more) => {
      assert.deepEqual(take(seed, count + more).slice(0, count), take(seed, count));
    }),
  );
});

test('another seed makes another plan', () => {
  fc.assert(
    fc.property(anySeed, anySeed, (one, other) => {
      fc.pre(one !== other);
      assert.notDeepEqual(take(one, 10), take(other, 10));
    }),
  );
});

test('what is done does not depend on the rate', () => {
  assert.deepEqual(deeds(3), deeds(Infinity));
});

test('the schedule does not drift: operation i is due in the i-th slot of the rate', () => {
  fc.assert(
    fc.property(anySeed, fc.integer({ min: 1, max: 5000 }), (seed, rate) => {
      for (const { index, dueMs } of take(seed, 100, rate)) {
        assert.ok(dueMs >= (index * 1000) / rate && dueMs <= ((index + 1) * 1000) / rate, `operation ${index} is due at ${dueMs} ms`);
      }
    }),
  );
});

test('without a rate everything is due at once', () => {
  assert.ok(take(1, 50, Infinity).every(({ dueMs }) => dueMs === 0));
});

test('three thousand operations hold every kind, each at least ten times', () => {
  fc.assert(
    fc.property(anySeed, (seed) => {
      const operations = take(seed, 3000);
      for (const kind of operationKinds) {
        const found = operations.filter((operation) => operation.kind === kind).length;
        assert.ok(found >= 10, `${kind}: ${found}`);
      }
    }),
    { numRuns: 20 },
  );
});

test('every kind does what its name says', () => {
  const operations = take(11, 3000);
  const checks: Record<Operation['kind'], (operation: Operation) => boolean> = {
    'place-order': (operation) => stepsOf(operation).every((step) => step.do === 'place-order' && inRange(step.items.length, 1, 5)),
    patch: (operation) => stepsOf(operation).every((step) => step.do === 'update' && Object.keys(step.values).length === 1),
    replace: (operation) => stepsOf(operation).every((step) => step.do === 'update' && Object.keys(step.values).length > 1),
    'cancel-order': (operation) => stepsOf(operation).every((step) => step.do === 'cancel-order'),
    'remove-item': (operation) => stepsOf(operation).every((step) => step.do === 'remove-item'),
    register: (operation) => stepsOf(operation).every((step) => step.do === 'insert'),
    burst: (operation) => inRange(operation.transactions.length, 3, 8) && rowsOf(operation).size === 1,
    'late-commit': ({ transactions }) => transactions.every(({ holdMs, ending }) => inRange(holdMs, 50, 1500) && ending === 'commit'),
    rollback: ({ transactions }) => transactions.every(({ ending }) => ending === 'rollback'),
    savepoint: (operation) => stepsOf(operation).some((step) => step.do === 'savepoint'),
    'multi-table': (operation) => operation.transactions.length === 1 && rowsOf(operation).size >= 3,
  };
  for (const operation of operations) assert.ok(checks[operation.kind](operation), JSON.stringify(operation));
  const savepointEndings = new Set(operations.flatMap(stepsOf).flatMap((step) => (step.do === 'savepoint' ? [step.ending] : [])));
  assert.deepEqual([...savepointEndings].toSorted(), ['release', 'rollback']);
});

test('money is decimal text with two places', () => {
  const values = take(5, 2000)
    .flatMap(stepsOf)
    .flatMap((step) => (step.do === 'update' || step.do === 'insert' ? [step.values['price'], step.values['credit_limit']] : []));
  const amounts = values.filter((value) => value !== undefined && value !== null);
  assert.ok(amounts.length > 100);
  for (const amount of amounts) assert.match(String(amount), /^\d+\.\d\d$/);
});

function inRange(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}

function rowsOf(operation: Operation): Set<string> {
  return new Set(stepsOf(operation).flatMap((step) => (step.do === 'update' ? [`${step.table}:${step.row}`] : [])));
}
