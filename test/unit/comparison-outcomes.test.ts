import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeClaims, type ClaimOptions } from '#comparison/outcomes/claims.ts';
import { decide, fails, holds, outcomes, unknown, type Outcome } from '#comparison/outcomes/outcome.ts';
import type { PerStrategy } from '#comparison/strategy.ts';
import type { StrategyReport } from '#comparison/strategy-report.ts';
import { differences, keyList, strategyReport, tableEvents } from '#test/support/comparison-report.ts';

test('two verdicts give one of five outcomes, and each can be reached', () => {
  const yes = holds('');
  const no = fails('');
  const reached = [
    decide({ log: yes, query: yes }),
    decide({ log: yes, query: no }),
    decide({ log: no, query: yes }),
    decide({ log: no, query: no }),
    decide({ log: yes, query: unknown('why') }),
  ].map(({ outcome }) => outcome);
  assert.deepEqual(reached, outcomes);
});

test('an inconclusive outcome says why, once', () => {
  assert.equal(decide({ log: unknown('no case'), query: unknown('no case') }).reason, 'no case');
  assert.equal(decide({ log: unknown('a'), query: unknown('b') }).reason, 'a; b');
  assert.equal(decide({ log: holds(''), query: holds('') }).reason, null);
});

const clean = tableEvents({
  states: { committed: 10, superseded: 4, seen: 10, lost: keyList() },
  deletes: { committed: 2, seen: 2, lost: keyList() },
  beforeImages: { complete: 6, incomplete: 0, absent: 0 },
});
const polled = tableEvents({
  states: { committed: 10, superseded: 4, seen: 7, lost: keyList('1', '1', '2') },
  deletes: { committed: 2, seen: 0, lost: keyList('3', '4') },
  beforeImages: { complete: 0, incomplete: 0, absent: 4 },
});
const usual: PerStrategy<StrategyReport> = {
  log: strategyReport({
    events: clean,
    rows: differences(),
    setup: {
      objects: ['replication slot cdc_slot'],
      settings: ['wal_level = logical'],
      attributes: ['REPLICATION'],
      grants: ['SELECT on public.orders'],
    },
  }),
  query: strategyReport({
    events: polled,
    rows: differences({ ghost: keyList('3', '4') }),
    setup: { objects: [], settings: [], attributes: [], grants: ['SELECT on public.orders'] },
  }),
};

function outcomeOf(id: string, reports: PerStrategy<StrategyReport>, options: Partial<ClaimOptions> = {}): Outcome | undefined {
  return judgeClaims(reports, { latencyLimitMs: 1000, sourceMoved: false, ...options }).find((claim) => claim.id === id)?.outcome;
}

test('a usual run: what each strategy can and cannot do', () => {
  const judged = judgeClaims(usual, { latencyLimitMs: 1000, sourceMoved: false });
  assert.deepEqual(Object.fromEntries(judged.map(({ id, outcome }) => [id, outcome])), {
    setup: 'only-query',
    privileges: 'only-query',
    columns: 'inconclusive',
    load: 'inconclusive',
    deletes: 'only-log',
    states: 'only-log',
    'before-images': 'only-log',
    'final-rows': 'both',
    'order-view': 'both',
    once: 'both',
    order: 'both',
    latency: 'both',
  });
  for (const claim of judged) assert.equal(claim.outcome === 'inconclusive', claim.reason !== null, claim.id);
});

test('without a case in the run the outcome is inconclusive, never a pass', () => {
  const quiet = strategyReport({ events: tableEvents({}), rows: differences({ source: 0, model: 0, equal: 0 }), latencyMs: null });
  const judged = judgeClaims({ log: quiet, query: quiet }, { latencyLimitMs: 1000, sourceMoved: false });
  for (const id of ['deletes', 'states', 'before-images', 'final-rows', 'order-view', 'once', 'order', 'latency']) {
    assert.equal(judged.find((claim) => claim.id === id)?.outcome, 'inconclusive', id);
  }
});

test('a log that loses a delete, repeats an event or mixes up the order is not excused', () => {
  const bad = strategyReport({
    events: tableEvents({
      ...clean,
      deletes: { committed: 2, seen: 1, lost: keyList('9') },
      duplicates: keyList('1'),
      outOfOrder: keyList('2'),
    }),
    rows: differences(),
  });
  assert.equal(outcomeOf('deletes', { ...usual, log: bad }), 'neither');
  assert.equal(outcomeOf('once', { ...usual, log: bad }), 'only-query');
  assert.equal(outcomeOf('order', { ...usual, log: bad }), 'only-query');
});

test('a published delete whose row stays in the model is no delete seen', () => {
  const log = strategyReport({ events: clean, rows: differences({ ghost: keyList('3') }) });
  assert.equal(outcomeOf('deletes', { ...usual, log }), 'neither');
});

test('missing and stale rows fail the final rows, unless the source moved while they were compared', () => {
  const log = strategyReport({ events: clean, rows: differences({ stale: keyList('3') }) });
  assert.equal(outcomeOf('final-rows', { ...usual, log }), 'only-query');
  assert.equal(outcomeOf('final-rows', { ...usual, log }, { sourceMoved: true }), 'inconclusive');
  const query = strategyReport({ events: clean, rows: differences({ missing: keyList('3') }) });
  assert.equal(outcomeOf('final-rows', { ...usual, query }), 'only-log');
});

test('the latency’s bound decides by p95', () => {
  const slow = strategyReport({ events: clean, rows: differences(), latencyMs: 2000 });
  assert.equal(outcomeOf('latency', { ...usual, query: slow }), 'only-log');
  assert.equal(outcomeOf('latency', { ...usual, query: slow }, { latencyLimitMs: 2000 }), 'both');
});

test('a right beyond SELECT, or an attribute, is more than reading', () => {
  const query = strategyReport({
    events: clean,
    rows: differences(),
    setup: { objects: [], settings: [], attributes: [], grants: ['SELECT on public.orders', 'UPDATE of some columns on cdc.heartbeat'] },
  });
  assert.equal(outcomeOf('privileges', { ...usual, query }), 'neither');
});

test('events that were not all kept make every claim on events inconclusive', () => {
  const cut: StrategyReport = { ...usual.log, events: { measured: false, why: 'too many' } };
  for (const id of ['deletes', 'states', 'before-images', 'once', 'order'])
    assert.equal(outcomeOf(id, { ...usual, log: cut }), 'inconclusive', id);
});
