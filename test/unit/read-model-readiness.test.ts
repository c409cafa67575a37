import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelState } from '#read-model/monitoring/model-states.ts';
import { createReadModelMetrics } from '#read-model/monitoring/metrics.ts';
import { whyNotReady } from '#read-model/monitoring/readiness.ts';
import type { ModelStatus, PartitionStatus } from '#read-model/status.ts';

const partition: PartitionStatus = {
  model: 'm',
  topic: 't',
  partition: 2,
  appliedOffset: 9_007_199_254_740_993n,
  endOffset: null,
  lag: null,
  appliedAt: '2026-12-02 06:00:00+00',
  parked: 3,
  consistency: 'row',
  tornTransactions: 0n,
  halted: null,
  version: 1,
  stopped: null,
};

const fault = { code: 'READ_MODEL_HALTED', cause: 'why', remedy: 'what to do' };

function status(other: Partial<ModelStatus> = {}): ModelStatus {
  return {
    model: 'm',
    version: 1,
    rebuilding: null,
    stopped: null,
    freshness: { model: 'm', state: 'stale', asOf: null, staleSeconds: null, passedOver: { unreadable: 0, ahead: 0, aheadMs: 0 } },
    haltedViews: [],
    tornTransactions: 0n,
    partitions: [partition],
    ...other,
  };
}

const doing = (state: ModelState): ReadonlyMap<string, ModelState> => new Map([['m', state]]);

test('a process that consumes, or waits to take over, is ready, however stale its model is; in any other state it is not', () => {
  for (const state of ['consuming', 'waiting to take over'] as const) assert.deepEqual(whyNotReady(doing(state), [status()]), []);
  for (const state of ['starting', 'waiting for topics', 'joining', 'ended'] as const)
    assert.deepEqual(whyNotReady(doing(state), [status()]), [`model m is ${state}`]);
});

test('what was given up, and each view and partition that halts, is a reason of its own', () => {
  const reasons = whyNotReady(doing('consuming'), [
    status({
      stopped: { ...fault, stoppedAt: '' },
      haltedViews: [{ ...fault, projection: 'v', key: null, since: '' }],
      partitions: [partition, { ...partition, partition: 3, halted: { ...fault, offset: 5n, haltedAt: '' } }],
    }),
  ]);
  assert.deepEqual(reasons, [
    'model m has been given up: READ_MODEL_HALTED: why',
    'view m.v halts: READ_MODEL_HALTED: why',
    'model m halts at t/3: READ_MODEL_HALTED: why',
  ]);
});

test('figures that are not known are absent, and a partition that is gone is not shown again', async () => {
  const metrics = createReadModelMetrics();
  const first = await metrics.render(doing('joining'), [status()]);
  assert.match(first, /^cdc_read_model_parked_events\{model="m",topic="t",partition="2"\} 3$/m);
  assert.match(first, /^cdc_read_model_state\{model="m",state="joining"\} 1$/m);
  assert.match(first, /^cdc_read_model_state\{model="m",state="consuming"\} 0$/m);
  assert.doesNotMatch(first, /^cdc_read_model_(?:lag_offsets|staleness_seconds)\{/m);
  const second = await metrics.render(doing('consuming'), [status({ partitions: [] })]);
  assert.doesNotMatch(second, /partition="2"/);
});
