import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeClaims, type ClaimOptions } from '#comparison/outcomes/claims.ts';
import * as fc from 'fast-check';
import { decide, fails, holds, outcomes, unknown, type Outcome } from '#comparison/outcomes/outcome.ts';
import { entriesOf, strategies, type PerStrategy } from '#comparison/strategy.ts';
import type { StrategyReport } from '#comparison/strategy-report.ts';
import { differences, keyList, strategyReport, tableEvents } from '#test/support/comparison-report.ts';

const yes = holds('');
const no = fails('');

test('three verdicts give one of nine outcomes, and each can be reached', () => {
  const reached = [
    decide({ log: yes, query: yes, sweep: yes }),
    decide({ log: yes, query: yes, sweep: no }),
    decide({ log: yes, query: no, sweep: yes }),
    decide({ log: no, query: yes, sweep: yes }),
    decide({ log: yes, query: no, sweep: no }),
    decide({ log: no, query: yes, sweep: no }),
    decide({ log: no, query: no, sweep: yes }),
    decide({ log: no, query: no, sweep: no }),
    decide({ log: yes, query: no, sweep: unknown('why') }),
  ].map(({ outcome }) => outcome);
  assert.deepEqual(reached, outcomes);
});

test('two verdicts: the third contender is neither counted nor named', () => {
  const reached = [
    decide({ log: yes, query: yes, sweep: null }),
    decide({ log: yes, query: no, sweep: null }),
    decide({ log: no, query: yes, sweep: null }),
    decide({ log: no, query: no, sweep: null }),
    decide({ log: yes, query: unknown('why'), sweep: null }),
  ].map(({ outcome }) => outcome);
  assert.deepEqual(reached, ['all', 'only-log', 'only-query', 'none', 'inconclusive']);
});

test('an outcome names exactly the strategies for which the property holds', () => {
  const verdict = fc.constantFrom(yes, no);
  fc.assert(
    fc.property(verdict, verdict, fc.option(verdict), (log, query, sweep) => {
      const verdicts = { log, query, sweep };
      const { outcome } = decide(verdicts);
      const entries = entriesOf(verdicts);
      const named = outcome === 'all' ? entries.map(([strategy]) => strategy) : strategies.filter((strategy) => outcome.includes(strategy));
      assert.deepEqual(
        named,
        entries.filter(([, { kind }]) => kind === 'holds').map(([strategy]) => strategy),
      );
    }),
  );
});

test('an inconclusive outcome says why, once', () => {
  assert.equal(decide({ log: unknown('no case'), query: unknown('no case'), sweep: null }).reason, 'no case');
  assert.equal(decide({ log: unknown('a'), query: yes, sweep: unknown('b') }).reason, 'a; b');
  assert.equal(decide({ log: yes, query: yes, sweep: no }).reason, null);
});

const clean = tableEvents({
  states: { committed: 10, superseded: 4, seen: 10, lost: keyList() },
  deletes: { committed: 2, seen: 2, lost: keyList(), ofUnseen: keyList() },
  beforeImages: { complete: 6, incomplete: 0, absent: 0 },
});
const polled = tableEvents({
  states: { committed: 10, superseded: 4, seen: 7, lost: keyList('1', '1', '2') },
  deletes: { committed: 2, seen: 0, lost: keyList('3', '4'), ofUnseen: keyList('4') },
  beforeImages: { complete: 0, incomplete: 0, absent: 4 },
});
const swept = tableEvents({ ...polled, deletes: { committed: 2, seen: 1, lost: keyList('4'), ofUnseen: keyList('4') } });
const reading = { objects: [], settings: [], attributes: [], grants: ['SELECT on public.orders'] };
const usual = {
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
    setup: reading,
    deleteLatencyMs: null,
  }),
  sweep: strategyReport({ events: swept, rows: differences(), setup: reading, deleteLatencyMs: 1500 }),
} satisfies PerStrategy<StrategyReport>;

function outcomeOf(id: string, reports: PerStrategy<StrategyReport>, options: Partial<ClaimOptions> = {}): Outcome | undefined {
  return judgeClaims(reports, { latencyLimitMs: 1000, sourceMoved: false, ...options }).find((claim) => claim.id === id)?.outcome;
}

test('a usual run: what each strategy can and cannot do', () => {
  const judged = judgeClaims(usual, { latencyLimitMs: 1000, sourceMoved: false });
  assert.deepEqual(Object.fromEntries(judged.map(({ id, outcome }) => [id, outcome])), {
    setup: 'query+sweep',
    privileges: 'query+sweep',
    columns: 'inconclusive',
    load: 'inconclusive',
    deletes: 'only-log',
    ghosts: 'log+sweep',
    states: 'only-log',
    'before-images': 'only-log',
    'final-rows': 'all',
    'order-view': 'all',
    once: 'all',
    order: 'all',
    latency: 'all',
    'delete-latency': 'only-log',
  });
  for (const claim of judged) assert.equal(claim.outcome === 'inconclusive', claim.reason !== null, claim.id);
});

test('a limit of time that is missed on saturated processors is no fact of a strategy; one that is kept there is', () => {
  const slow = {
    ...usual,
    query: strategyReport({ events: polled, rows: differences(), setup: reading, latencyMs: 1500, deleteLatencyMs: null }),
  };
  const saturated = 'the 2 processors of this machine were saturated in 18 of 20 s';
  assert.equal(outcomeOf('latency', slow), 'log+sweep');
  assert.equal(outcomeOf('latency', slow, { saturated }), 'inconclusive');
  assert.equal(outcomeOf('latency', usual, { saturated }), 'all');
  // What came at all is no matter of time.
  assert.equal(outcomeOf('deletes', usual, { saturated }), 'only-log');
  const claim = judgeClaims(slow, { latencyLimitMs: 1000, sourceMoved: false, saturated }).find(({ id }) => id === 'latency');
  assert.match(claim?.reason ?? '', /p95 1500 ms .*saturated in 18 of 20 s/);
});

test('without a case in the run the outcome is inconclusive, never a pass', () => {
  const quiet = strategyReport({ events: tableEvents({}), rows: differences({ source: 0, model: 0, equal: 0 }), latencyMs: null });
  const judged = judgeClaims({ log: quiet, query: quiet, sweep: quiet }, { latencyLimitMs: 1000, sourceMoved: false });
  for (const id of [
    'deletes',
    'ghosts',
    'states',
    'before-images',
    'final-rows',
    'order-view',
    'once',
    'order',
    'latency',
    'delete-latency',
  ]) {
    assert.equal(judged.find((claim) => claim.id === id)?.outcome, 'inconclusive', id);
  }
});

test('a log that loses a delete, repeats an event or mixes up the order is not excused', () => {
  const bad = strategyReport({
    events: tableEvents({
      ...clean,
      deletes: { committed: 2, seen: 1, lost: keyList('9'), ofUnseen: keyList() },
      duplicates: keyList('1'),
      outOfOrder: keyList('2'),
    }),
    rows: differences(),
  });
  assert.equal(outcomeOf('deletes', { ...usual, log: bad }), 'none');
  assert.equal(outcomeOf('once', { ...usual, log: bad }), 'query+sweep');
  assert.equal(outcomeOf('order', { ...usual, log: bad }), 'query+sweep');
});

test('a published delete whose row stays in the model leaves a ghost all the same', () => {
  const log = strategyReport({ events: clean, rows: differences({ ghost: keyList('3') }) });
  assert.equal(outcomeOf('ghosts', { ...usual, log }), 'only-sweep');
  assert.equal(outcomeOf('ghosts', { ...usual, log }, { sourceMoved: true }), 'inconclusive');
});

test('the sweep’s deletes are the sweep’s: without them it has the ghosts of plain polling', () => {
  const asleep = { ...usual, sweep: usual.query };
  assert.equal(outcomeOf('ghosts', asleep), 'only-log');
  assert.equal(outcomeOf('delete-latency', asleep, { latencyLimitMs: 5000 }), 'only-log');
});

test('without the third contender a claim is judged between the two', () => {
  assert.equal(outcomeOf('ghosts', { ...usual, sweep: null }), 'only-log');
  assert.equal(outcomeOf('final-rows', { ...usual, sweep: null }), 'all');
});

test('missing and stale rows fail the final rows, unless the source moved while they were compared', () => {
  const log = strategyReport({ events: clean, rows: differences({ stale: keyList('3') }) });
  assert.equal(outcomeOf('final-rows', { ...usual, log }), 'query+sweep');
  assert.equal(outcomeOf('final-rows', { ...usual, log }, { sourceMoved: true }), 'inconclusive');
  const query = strategyReport({ events: clean, rows: differences({ missing: keyList('3') }) });
  assert.equal(outcomeOf('final-rows', { ...usual, query }), 'log+sweep');
});

test('the latency’s bound decides by p95, of deletes apart from the others', () => {
  const slow = strategyReport({ events: clean, rows: differences(), latencyMs: 2000 });
  assert.equal(outcomeOf('latency', { ...usual, query: slow }), 'log+sweep');
  assert.equal(outcomeOf('latency', { ...usual, query: slow }, { latencyLimitMs: 2000 }), 'all');
  const late = strategyReport({ events: clean, rows: differences(), latencyMs: 20, deleteLatencyMs: 1500 });
  assert.equal(outcomeOf('delete-latency', { ...usual, sweep: late }), 'only-log');
  assert.equal(outcomeOf('delete-latency', { ...usual, sweep: late }, { latencyLimitMs: 1500 }), 'log+sweep');
});

test('a right beyond SELECT, or an attribute, is more than reading', () => {
  const query = strategyReport({
    events: clean,
    rows: differences(),
    setup: { ...reading, grants: ['SELECT on public.orders', 'UPDATE of some columns on cdc.heartbeat'] },
  });
  assert.equal(outcomeOf('privileges', { ...usual, query }), 'only-sweep');
});

test('events that were not all kept make every claim on events inconclusive', () => {
  const cut: StrategyReport = { ...usual.log, events: { measured: false, why: 'too many' } };
  for (const id of ['deletes', 'states', 'before-images', 'once', 'order'])
    assert.equal(outcomeOf(id, { ...usual, log: cut }), 'inconclusive', id);
});
