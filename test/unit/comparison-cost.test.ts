import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ratesBetween, type CostSample } from '#comparison/cost/cost.ts';

const probe = { counters: async () => null };

function sample(parts: Partial<CostSample>): CostSample {
  return { atMs: 0, times: new Map(), counters: { queries: 0, rowsRead: 0 }, ...parts };
}

test('a cost is what was added between two looks, per minute; a session that is new counts whole', () => {
  const before = sample({ times: new Map([['1', 500]]), counters: { queries: 100, rowsRead: 1000 } });
  const after = sample({
    atMs: 30_000,
    times: new Map([
      ['1', 600],
      ['2', 50],
    ]),
    counters: { queries: 160, rowsRead: 1300 },
  });
  assert.deepEqual(ratesBetween(probe, before, after), {
    queriesPerMinute: { measured: true, value: 120 },
    rowsReadPerMinute: { measured: true, value: 600 },
    processorMsPerMinute: { measured: true, value: 300 },
  });
});

test('what nobody could count is not measured, with the reason, never zero', () => {
  const before = sample({ counters: null, times: null });
  const after = sample({ atMs: 1 });
  assert.deepEqual(ratesBetween(probe, before, after).queriesPerMinute, { measured: false, why: 'no process of it answered' });
  assert.equal(ratesBetween(probe, before, after).processorMsPerMinute.measured, false);
  assert.equal(ratesBetween(probe, sample({}), after).processorMsPerMinute.measured, false, 'no session');
  assert.deepEqual(ratesBetween({ counters: 'it reads the log' }, sample({}), after).rowsReadPerMinute, {
    measured: false,
    why: 'it reads the log',
  });
  const restarted = ratesBetween(probe, sample({ counters: { queries: 9, rowsRead: 9 } }), after);
  assert.deepEqual(restarted.queriesPerMinute, { measured: false, why: 'its process was restarted' });
});
