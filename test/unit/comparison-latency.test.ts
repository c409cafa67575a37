import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { appliedAt } from '#comparison/latency/apply-log.ts';
import { latencies, type TimedMatch } from '#comparison/latency/latencies.ts';
import { distribution } from '#comparison/latency/percentiles.ts';
import { precedes, sameXid } from '#comparison/source/xid.ts';
import { ledgerChange, observedEvent } from '#test/support/comparison.ts';

test('percentiles are samples by nearest rank', () => {
  const samples = Array.from({ length: 100 }, (_value, index) => 100 - index);
  assert.deepEqual(distribution(samples), { n: 100, p50: 50, p95: 95, p99: 99, max: 100 });
  assert.deepEqual(distribution([7]), { n: 1, p50: 7, p95: 7, p99: 7, max: 7 });
});

test('nothing measured is null, not zero', () => {
  assert.equal(distribution([]), null);
});

test('at least as many samples as the percentile says are at or below it', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 }), (samples) => {
      const found = distribution(samples);
      assert.ok(found);
      for (const [percent, value] of [
        [50, found.p50],
        [95, found.p95],
        [99, found.p99],
      ] as const) {
        assert.ok(samples.filter((sample) => sample <= value).length >= (percent / 100) * samples.length);
        assert.ok(samples.filter((sample) => sample < value).length < (percent / 100) * samples.length);
      }
    }),
  );
});

test('the batch that holds an offset says when it was applied; a hole or a pruned batch says nothing', () => {
  const batches = [
    { first: 10n, next: 15n, appliedAt: 1 },
    { first: 15n, next: 16n, appliedAt: 2 },
    { first: 20n, next: 30n, appliedAt: 3 },
  ];
  const found = [9n, 10n, 14n, 15n, 16n, 19n, 20n, 29n, 30n].map((offset) => appliedAt(batches, offset));
  assert.deepEqual(found, [null, 1, 1, 2, null, null, 3, 3, null]);
  assert.equal(appliedAt(undefined, 1n), null);
});

test('times count from the commit of the change’s own transaction, each clock corrected', () => {
  const match = {
    change: ledgerChange({ txId: 2n ** 32n + 7n }),
    event: observedEvent({ txId: 8n, offset: 3n, receivedAt: 1010 }),
    topic: 't',
  };
  const log = new Map([['t/0', [{ first: 0n, next: 9n, appliedAt: 1050 }]]]);
  const commits = { times: new Map([[7n, 1005]]), unavailable: null };
  const found = latencies([match], commits, log, { sourceAheadMs: 5, readAheadMs: 20 });
  assert.deepEqual(found.toKafka, { measured: true, value: { n: 1, p50: 10, p95: 10, p99: 10, max: 10 } });
  assert.deepEqual(found.toReadModel, { measured: true, value: { n: 1, p50: 30, p95: 30, p99: 30, max: 30 } });
});

function timed(op: 'u' | 'd', receivedAt: number, offset: bigint): TimedMatch {
  return { change: ledgerChange({ txId: 7n, op }), event: observedEvent({ op, offset, receivedAt }), topic: 't' };
}

test('deletes are timed apart from inserts and updates', () => {
  const commits = { times: new Map([[7n, 1000]]), unavailable: null };
  const log = new Map([['t/0', [{ first: 0n, next: 2n, appliedAt: 1020 }]]]);
  const found = latencies([timed('u', 1010, 1n), timed('d', 2500, 2n)], commits, log, { sourceAheadMs: 0, readAheadMs: 0 });
  assert.deepEqual(
    [found.toKafka, found.deletesToKafka].map((each) => each.measured && [each.value.n, each.value.max]),
    [
      [1, 10],
      [1, 1500],
    ],
  );
  assert.deepEqual(found.deletesToReadModel, { measured: false, why: "none of these events is in the read model's apply_log" });
  assert.deepEqual([found.withoutCommitTime, found.withoutBatch], [0, 1]);
});

test('without commit times or events a latency is not measured, with the reason', () => {
  const off = latencies([], { times: new Map(), unavailable: 'track_commit_timestamp is off' }, new Map(), {
    sourceAheadMs: 0,
    readAheadMs: 0,
  });
  assert.deepEqual(off.toKafka, { measured: false, why: 'track_commit_timestamp is off' });
  const quiet = latencies([], { times: new Map(), unavailable: null }, new Map(), { sourceAheadMs: 0, readAheadMs: 0 });
  assert.equal(quiet.toReadModel.measured, false);
});

test('transaction ids compare as in Postgres, across widths and the wraparound', () => {
  assert.ok(sameXid(2n ** 32n + 5n, 5n));
  assert.ok(precedes(5n, 2n ** 32n + 6n));
  assert.ok(precedes(2n ** 32n - 1n, 3n));
  assert.ok(!precedes(3n, 2n ** 32n - 1n));
  assert.ok(!precedes(4n, 4n));
});
