import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { charge, noLoad, waitMs } from '#cdc-poller/pace/load-limit.ts';
import { patienceMs } from '#cdc-poller/pace/patience.ts';
import { intervalOf, nextPollDelay } from '#cdc-poller/pace/poll-delay.ts';
import { pipelineSchema, type PollerConfig } from '#pipeline/index.ts';

function pollerConfig(settings: Readonly<Record<string, unknown>>, table: Readonly<Record<string, unknown>> = {}): PollerConfig {
  const { poller } = pipelineSchema.parse({
    legacyDb: { database: 'x', roles: { poller: { user: 'x' } } },
    kafka: { brokers: 'x:1' },
    poller: { name: 'x', ...settings, tables: [{ table: 'public.t', ...table }] },
  });
  assert.ok(poller);
  return poller;
}

function intervalFrom(
  settings: Readonly<Record<string, unknown>>,
  table: Readonly<Record<string, unknown>> = {},
): readonly [number, number] {
  const poller = pollerConfig(settings, table);
  const [first] = poller.tables;
  assert.ok(first);
  const { minMs, maxMs } = intervalOf(poller, first);
  return [minMs, maxMs];
}

function patience(settings: Readonly<Record<string, unknown>>, table: Readonly<Record<string, unknown>> = {}): number {
  const poller = pollerConfig(settings, table);
  const [first] = poller.tables;
  assert.ok(first);
  return patienceMs(poller, first);
}

test('the interval is fixed unless a bound is set; the table speaks before the poller', () => {
  assert.deepEqual(intervalFrom({}), [100, 100]);
  assert.deepEqual(intervalFrom({ pollIntervalMs: 5000 }), [5000, 5000]);
  assert.deepEqual(intervalFrom({ pollIntervalMs: 5000 }, { pollIntervalMs: 7 }), [7, 7]);
  assert.deepEqual(intervalFrom({ minIntervalMs: 10, maxIntervalMs: 1000 }), [10, 1000]);
  assert.deepEqual(intervalFrom({ minIntervalMs: 10, maxIntervalMs: 1000 }, { pollIntervalMs: 50 }), [50, 50]);
  assert.deepEqual(intervalFrom({ pollIntervalMs: 5000 }, { minIntervalMs: 30 }), [30, 2000]);
  assert.deepEqual(intervalFrom({ maxIntervalMs: 5 }), [5, 5]);
  assert.deepEqual(intervalFrom({ minIntervalMs: 4000 }), [4000, 4000]);
});

test('a busy table is asked again at once; an idle one ever more seldom, never beyond its bounds', () => {
  const interval = { minMs: 10, maxMs: 1000 };
  assert.equal(nextPollDelay(700, { published: 1 }, interval), 10);
  let delay = 10;
  let polls = 0;
  for (let idle = 0; idle < 60_000; idle += delay) {
    const next = nextPollDelay(delay, { published: 0 }, interval);
    assert.ok(next > delay || next === 1000);
    delay = next;
    polls += 1;
  }
  assert.equal(delay, 1000);
  assert.ok(polls < 80, `${polls} polls in an idle minute`);
  assert.equal(nextPollDelay(100, { published: 0 }, { minMs: 100, maxMs: 100 }), 100);
});

test('whatever the queries, rows stay within the rate and a page, and query time within its share', () => {
  const query = fc.record({
    rows: fc.integer({ min: 0, max: 1000 }),
    ms: fc.integer({ min: 0, max: 500 }),
    idle: fc.integer({ min: 0, max: 3000 }),
  });
  fc.assert(
    fc.property(
      fc.array(query, { minLength: 1, maxLength: 100 }),
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0.05, max: 1, noNaN: true }),
      (queries, maxRowsPerSecond, dutyCycle) => {
        const limit = { maxRowsPerSecond, dutyCycle };
        let state = noLoad;
        let now = 0;
        let rowsBefore = 0;
        let busyBefore = 0;
        for (const { rows, ms, idle } of queries) {
          now += idle;
          now += waitMs(state, now);
          // What ran before this query has been paid for by now.
          assert.ok(rowsBefore <= (now / 1000) * maxRowsPerSecond + 1e-6, `${rowsBefore} rows by ${now} ms`);
          assert.ok(busyBefore <= now * dutyCycle + 1e-6, `${busyBefore} ms of queries by ${now} ms`);
          const startedAt = now;
          now += ms;
          state = charge(state, { startedAt, endedAt: now, rows }, limit);
          rowsBefore += rows;
          busyBefore += ms;
        }
      },
    ),
  );
});

test('without a limit nothing waits', () => {
  const limit = { maxRowsPerSecond: null, dutyCycle: null };
  assert.equal(waitMs(charge(noLoad, { startedAt: 0, endedAt: 1000, rows: 1e9 }, limit), 1000), 0);
});

test('a table is given ten intervals, and three pages at its permitted rate, before it counts as stuck', () => {
  assert.equal(patience({}), 15_000);
  assert.equal(patience({ pollIntervalMs: 5000 }), 50_000);
  assert.equal(patience({ pageRows: 1000, maxRowsPerSecond: 500 }, { maxRowsPerSecond: 100 }), 30_000);
});

test('limits that make no sense are refused', () => {
  for (const bad of [{ dutyCycle: 0 }, { dutyCycle: 1.5 }, { dutyCycle: 'half' }, { maxRowsPerSecond: 0 }, { minIntervalMs: -1 }]) {
    assert.throws(() => pollerConfig(bad), JSON.stringify(bad));
  }
  assert.equal(pollerConfig({ dutyCycle: '0.25' }).dutyCycle, 0.25);
});
