import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { assert as check, constantFrom, integer, property, record, boolean } from 'fast-check';
import { needOf, type Load } from '#bench/capacity/model.ts';
import { capacityFile, capacityPage } from '#bench/capacity/page.ts';
import { planned, unitCosts } from '#bench/capacity/unit-costs.ts';

const loads = record<Load>({
  tables: integer({ min: 1, max: 20_000 }),
  rows: integer({ min: 0, max: 10 ** 11 }),
  changesPerSecond: integer({ min: 0, max: 2_000_000 }),
  strategy: constantFrom('query', 'log'),
  pollSeconds: integer({ min: 1, max: 3600 }),
  view: boolean(),
});

test('docs/reference/capacity.md is what the model says (npm run docs:capacity)', async () => {
  assert.equal(await readFile(capacityFile, 'utf8'), capacityPage());
});

test('no process is planned to do more than it was seen to do, less the reserve; and one fewer would have too much', () => {
  check(
    property(loads, (load) => {
      const { captures, captureCores, models } = needOf(load);
      const applied = load.view ? unitCosts.applyWithView : unitCosts.apply;
      const capture = load.strategy === 'query' ? captureCores : load.changesPerSecond / unitCosts.debezium.changesPerSecond;
      // One process fewer takes its own part with it.
      const own = unitCosts.poll.processCpu;
      for (const [processes, work] of [
        [captures, capture],
        [models, load.changesPerSecond / applied.changesPerSecond],
      ] as const) {
        assert.ok(work <= processes * planned * (1 + 1e-9), `${work} of work by ${processes}`);
        assert.ok(processes === 1 || work > (processes - 1) * planned * (1 - 1e-9) - own, `${processes} are too many for ${work}`);
      }
    }),
  );
});

test('more of anything never needs less', () => {
  check(
    property(loads, constantFrom('tables', 'rows', 'changesPerSecond'), (load, what) => {
      const [need, more] = [needOf(load), needOf({ ...load, [what]: load[what] * 2 + 1 })];
      for (const part of [
        'captures',
        'captureCores',
        'brokerCores',
        'models',
        'readDatabaseCores',
        'partitions',
        'firstLoadHours',
      ] as const)
        assert.ok(more[part] >= need[part], `${part} with twice the ${what}`);
    }),
  );
});

test('what was measured comes out again: 20 and 200 idle tables, and a load of 1,000,000 rows', () => {
  const idle = { rows: 1_000_000, changesPerSecond: 0, strategy: 'query', pollSeconds: 5, view: false } as const;
  const [small, large] = [needOf({ ...idle, tables: 20 }), needOf({ ...idle, tables: 200 })];
  assert.equal(small.captureCores.toFixed(2), '0.08');
  // Two processes ran; the model would take one.
  assert.equal((large.captureCores + unitCosts.poll.processCpu).toFixed(2), '0.39');
  assert.deepEqual([small.brokerCores.toFixed(3), large.brokerCores.toFixed(3)], ['0.175', '0.274']);
  assert.equal(large.sourceCores?.toFixed(3), '0.387');
  assert.equal((large.firstLoadHours * 3600).toFixed(2), (1_000_000 / 143_926).toFixed(2));
});
