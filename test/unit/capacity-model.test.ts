import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needOf, pollingCores, pollsOf, type Load } from '#bench/capacity/model.ts';
import { withTables } from '#bench/capacity/page.ts';
import { unitCosts } from '#bench/capacity/unit-costs.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

const load: Load = {
  tables: 100,
  bytes: 1e10,
  rowBytes: 200,
  changesPerSecond: 1000,
  busiestShare: 0.1,
  pollIntervalSeconds: 1,
  capture: 'query',
  format: 'json',
  views: false,
  retentionDays: null,
};

const about = (value: number, expected: number): void => {
  assert.ok(Math.abs(value - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${value} instead of ${expected}`);
};

const figures = (one: Load): readonly number[] => {
  const { pollers, connect, sourceCores, kafka, readModel } = needOf(one);
  // How long a load takes is no such figure: where more processes are needed, they load sooner.
  return [...[pollers, connect, kafka, readModel].flatMap((part) => Object.values(part ?? {})), sourceCores ?? 0];
};

const firstOf = (one: Partial<Load>): string => needOf({ ...load, ...one }).limits[0]?.part ?? '';

test('docs/capacity.md has the tables of the model as it is; npm run docs writes them', () => {
  const page = readFileSync(join(repositoryRoot, 'docs/capacity.md'), 'utf8');
  assert.equal(page, withTables(page));
});

test('each unit cost is on the page that it names', () => {
  const missing = Object.entries(unitCosts).flatMap(([name, { value, from }]) => {
    if (from.startsWith('assumed')) return [];
    const path = from.startsWith('docs/') ? from : `bench/results/${from}`;
    const page = readFileSync(join(repositoryRoot, path), 'utf8');
    // docs/benchmarks.md writes 40k.
    const forms = [value.toLocaleString('en-US'), value.toFixed(2), `${value / 1000}k`];
    return forms.some((form) => page.includes(form)) ? [] : [`${name}: ${value} is not in ${path}`];
  });
  assert.deepEqual(missing, []);
});

test('polls cost by their number: twice the tables at twice the interval cost the same, and changes never make more polls', () => {
  const idle = { tables: 100, changesPerSecond: 0, pollIntervalSeconds: 10 };
  assert.deepEqual(pollingCores({ ...idle, tables: 200, pollIntervalSeconds: 20 }), pollingCores(idle));
  about(pollingCores(idle).poller, (10 * unitCosts.idlePoller.value) / 1000);
  assert.deepEqual(pollsOf({ ...idle, changesPerSecond: 4 }), { idle: 6, busy: 4 });
  assert.deepEqual(pollsOf({ ...idle, changesPerSecond: 1_000_000 }), { idle: 0, busy: 10 });
});

test('a row costs what it was measured to cost, however many there are in a poll', () => {
  const busy = { tables: 10, changesPerSecond: 1000, pollIntervalSeconds: 1 };
  const more = pollingCores({ ...busy, changesPerSecond: 101_000 });
  about(more.poller - pollingCores(busy).poller, unitCosts.loadPoller.value);
  about(
    more.poller + more.source + more.broker - Object.values(pollingCores(busy)).reduce((sum, value) => sum + value, 0),
    unitCosts.loadAll.value,
  );
});

test('a larger load never needs less', () => {
  for (const capture of ['query', 'log'] as const) {
    const base = { ...load, capture };
    for (const larger of [
      { tables: 1000 },
      { bytes: 1e11 },
      { changesPerSecond: 50_000 },
      { views: true },
    ] satisfies readonly Partial<Load>[]) {
      const [before, after] = [figures(base), figures({ ...base, ...larger })];
      const less = before.flatMap((value, index) =>
        (after[index] ?? 0) < value - 1e-9 ? [`figure ${index}: ${value} became ${after[index]}`] : [],
      );
      assert.deepEqual(less, [], `${capture}, ${JSON.stringify(larger)}`);
    }
  }
});

test('the part that is full first is named: the source where it is asked too often, the task of a table that changes too fast, the load of one that is too large', () => {
  assert.equal(firstOf({ tables: 10_000, pollIntervalSeconds: 0.1, changesPerSecond: 0, bytes: 1e9 }), 'the source’s Postgres');
  assert.equal(firstOf({ capture: 'log', changesPerSecond: 1_000_000, bytes: 1e9 }), 'the Debezium task of the largest table');
  assert.equal(firstOf({ bytes: 1e14, changesPerSecond: 0 }), 'the first load of the largest table');
  assert.equal(firstOf({ changesPerSecond: 5_000_000, busiestShare: 1, bytes: 1e9 }), 'the poller of the largest table');
});

test('a partition is read by one process: the largest table has as many as processes must share it', () => {
  const rate = unitCosts.applyRate.value;
  const { kafka, readModel } = needOf({ ...load, tables: 1, busiestShare: 1, changesPerSecond: 10 * rate });
  assert.ok(
    kafka.partitions >= 10 && kafka.partitions <= readModel.processes,
    `${kafka.partitions} partitions, ${readModel.processes} processes`,
  );
});
