import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { digestOf, sameDigest, sortKeys } from '#cdc-poller/sweep/key-set.ts';
import { sweep, type SweepLimits, type SweepResult } from '#cdc-poller/sweep/sweep.ts';
import type { SweepSource } from '#cdc-poller/sweep/sweep-source.ts';

const limits: SweepLimits = { chunkKeys: 8, listKeys: 2, maxDeletes: 1000 };
const identity = { oid: '1', file: '1', rowSecurity: false };

/** A table of integer keys in memory. */
function tableOf(keys: ReadonlySet<string>, overrides: Partial<SweepSource> = {}): SweepSource {
  const within = ({ after, keys: range }: { readonly after: string | null; readonly keys: readonly string[] }): readonly string[] =>
    [...keys].filter((key) => (after === null || BigInt(key) > BigInt(after)) && BigInt(key) <= BigInt(range.at(-1) ?? '0'));
  return {
    identity: async () => identity,
    digest: async (range) => digestOf(within(range)),
    list: async (range) => new Set(within(range)),
    present: async (asked) => new Set(asked.filter((key) => keys.has(key))),
    ...overrides,
  };
}

async function run(source: SweepSource, published: Iterable<string>, sweepLimits = limits): Promise<SweepResult> {
  const steps = sweep(source, published, 'int8', sweepLimits);
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return step.value;
  }
}

const keys = fc.uniqueArray(fc.integer({ min: -500, max: 500 }).map(String), { maxLength: 120 });

test('a sweep finds exactly the published keys that the table has no more, whatever is new in it', async () => {
  await fc.assert(
    fc.asyncProperty(keys, keys, async (published, present) => {
      const result = await run(tableOf(new Set(present)), published);
      assert.ok(result.outcome === 'found');
      assert.deepEqual([...result.missing].toSorted(), published.filter((key) => !present.includes(key)).toSorted());
    }),
  );
});

test('equal tables cost one question a chunk', async () => {
  const published = Array.from({ length: 1000 }, (_, id) => String(id));
  let asked = 0;
  const table = tableOf(new Set(published));
  const counting: SweepSource = { ...table, digest: (range) => ((asked += 1), table.digest(range)), list: () => assert.fail('listed') };
  const result = await run(counting, published, { ...limits, chunkKeys: 100 });
  assert.deepEqual([result, asked], [{ outcome: 'found', missing: [], swept: 1000 }, 10]);
});

test('more missing keys than the cap are not believed', async () => {
  const published = Array.from({ length: 5000 }, (_, id) => String(id));
  const result = await run(tableOf(new Set()), published, { ...limits, maxDeletes: 100 });
  assert.equal(result.outcome, 'too-many');
});

test('as many missing keys as the cap are believed, one more is not, and then nothing further is asked', async () => {
  const published = Array.from({ length: 40 }, (_, id) => String(id));
  const believed = await run(tableOf(new Set()), published, { ...limits, maxDeletes: 40 });
  assert.deepEqual([believed.outcome, believed.outcome === 'found' && believed.missing.length], ['found', 40]);
  let listed = 0;
  const table = tableOf(new Set(), { present: () => assert.fail('asked for once more') });
  const counting: SweepSource = { ...table, list: (range) => ((listed += range.keys.length), table.list(range)) };
  const result = await run(counting, published, { ...limits, maxDeletes: 9 });
  assert.deepEqual(result, { outcome: 'too-many', missing: 10, swept: 8 });
  assert.equal(listed, 10);
});

test('a policy that comes while a sweep runs, or a table that goes, is seen at the last look: nothing is published', async () => {
  const identities = (last: Awaited<ReturnType<SweepSource['identity']>>): Partial<SweepSource> => {
    let asked = 0;
    return { identity: async () => ((asked += 1) === 1 ? identity : last) };
  };
  const hidden = tableOf(new Set(['1']), identities({ ...identity, rowSecurity: true }));
  assert.deepEqual(await run(hidden, ['1', '2']), { outcome: 'hidden' });
  assert.deepEqual(await run(hidden, []), { outcome: 'hidden' });
  assert.deepEqual(await run(tableOf(new Set(['1']), identities(null)), ['1', '2']), { outcome: 'gone' });
});

test('a key that comes back before the last look is not missing', async () => {
  const source = tableOf(new Set(['1']), { present: async (asked) => new Set(asked) });
  assert.deepEqual(await run(source, ['1', '2']), { outcome: 'found', missing: [], swept: 2 });
});

test('hidden rows, a replaced table and a missing one publish nothing', async () => {
  const empty = new Set<string>();
  assert.deepEqual(await run(tableOf(empty, { identity: async () => ({ ...identity, rowSecurity: true }) }), ['1']), { outcome: 'hidden' });
  assert.deepEqual(await run(tableOf(empty, { identity: async () => null }), ['1']), { outcome: 'gone' });
  const files = ['1', '2'];
  const moving = tableOf(empty, { identity: async () => ({ ...identity, file: files.shift() ?? '' }) });
  assert.deepEqual(await run(moving, ['1']), { outcome: 'moved' });
});

test('keys are ordered as Postgres orders them, and a digest differs between sets, not between orders', () => {
  assert.deepEqual(sortKeys(['10', '9', '-1', '9223372036854775807'], 'int8'), ['-1', '9', '10', '9223372036854775807']);
  assert.deepEqual(sortKeys(['b0000000', 'a0000000', '10000000'], 'uuid'), ['10000000', 'a0000000', 'b0000000']);
  assert.ok(sameDigest(digestOf(['1', '2']), digestOf(['2', '1'])));
  assert.ok(!sameDigest(digestOf(['1', '2']), digestOf(['1', '3'])));
});
