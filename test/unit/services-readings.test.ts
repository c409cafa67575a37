import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { appliedOf, createReadings, type Reading } from '#services/query-api/model/readings.ts';

const reading = (values: Partial<Reading> = {}): Reading => ({
  fingerprint: 'f',
  origin: 'o',
  position: new Map([
    ['t.a/0', 1n],
    ['t.a/1', 2n],
    ['t.ab/0', 3n],
  ]),
  asOf: 1_000_000n,
  at: 1_000_500n,
  halted: new Map(),
  ...values,
});

test('readings: who asks within the bound shares one, and nobody gets an older one than the bound', async () => {
  let clock = 0;
  let taken = 0;
  let fails = false;
  const readings = createReadings(
    () => {
      taken += 1;
      return fails ? Promise.reject(new Error('away')) : Promise.resolve(reading({ origin: String(taken) }));
    },
    () => clock,
  );
  const origins = async (): Promise<string[]> => (await Promise.all([readings.recent(), readings.recent()])).map(({ origin }) => origin);
  assert.deepEqual(await origins(), ['1', '1']);
  clock = 20;
  assert.deepEqual(await origins(), ['1', '1']);
  clock = 21;
  assert.deepEqual(await origins(), ['1', '1'], 'renewed in the background');
  assert.deepEqual(await origins(), ['2', '2']);
  clock = 21 + 51;
  assert.deepEqual(await origins(), ['3', '3']);
  fails = true;
  clock += 30;
  assert.deepEqual(await origins(), ['3', '3'], 'a failure in the background is not of those who have a reading');
  clock += 30;
  await assert.rejects(readings.recent(), /away/);
  fails = false;
  clock += 60;
  const before = taken;
  assert.deepEqual(await origins(), [String(before + 1), String(before + 1)]);
  await readings.fresh();
  assert.equal(taken, before + 2);
});

test('readings: the next one is begun after it was asked for, and is one for all who ask meanwhile', async () => {
  const answers: ((reading: Reading) => void)[] = [];
  const readings = createReadings(
    () =>
      new Promise((resolve) => {
        answers.push(resolve);
      }),
  );
  const before = readings.fresh();
  const next = Promise.all([readings.next(), readings.next()]);
  assert.equal(answers.length, 1);
  answers[0]?.(reading({ origin: 'before' }));
  assert.equal((await before).origin, 'before');
  await setImmediate();
  assert.equal(answers.length, 2);
  answers[1]?.(reading({ origin: 'after' }));
  assert.deepEqual(
    (await next).map(({ origin }) => origin),
    ['after', 'after'],
  );
});

test('readings: one that took its time is as old as when it was asked for', async () => {
  let clock = 0;
  let taken = 0;
  const readings = createReadings(
    () => {
      clock += 60;
      taken += 1;
      return Promise.resolve(reading());
    },
    () => clock,
  );
  await readings.recent();
  await readings.recent();
  assert.equal(taken, 2);
});

test('what a reading says of a table: its own topics, the time since then, and a halted projection no fresher than its halt', () => {
  const one = reading({ halted: new Map([['view', 400_000n]]) });
  const table = { name: 'a', topics: ['t.a'] };
  assert.deepEqual([...appliedOf(one, table, 1_000_000n).position.keys()], ['t.a/0', 't.a/1']);
  const staleness = (at: bigint, name = 'a'): bigint | null => appliedOf(one, { ...table, name }, at).stalenessMs;
  assert.deepEqual([staleness(1_000_000n), staleness(1_000_001n), staleness(1_001_000n), staleness(3_000_000n)], [0n, 1n, 1n, 2000n]);
  assert.equal(staleness(900_000n), 0n, 'a clock that is behind is not ahead');
  assert.deepEqual([appliedOf(one, { ...table, name: 'view' }, 1_000_000n).asOf, staleness(1_000_000n, 'view')], [400_000n, 600n]);
  const unknown = appliedOf(reading({ asOf: null, halted: new Map([['a', 1n]]) }), table, 1n);
  assert.deepEqual([unknown.asOf, unknown.stalenessMs], [null, null]);
});
