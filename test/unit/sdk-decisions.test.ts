import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ConsumedMessage } from '#kafka/index.ts';
import { planBatch } from '#sdk/apply/plan-batch.ts';
import { afterFailure, afterSuccess, firstTry, type Tries, type TryPolicy } from '#sdk/apply/tries.ts';
import type { Change } from '#sdk/changes/change.ts';
import type { ReadMessage } from '#sdk/changes/decode-changes.ts';
import { engineFiles } from '#sdk/tables/migrate.ts';
import { onePrefix, tableOf } from '#sdk/settings.ts';

const place = { topic: 'log.public.orders', partition: 0 };

type Kind = 'write' | 'delete' | 'tombstone' | 'junk';
type Event = { readonly key: string; readonly kind: Kind };

const kinds: readonly Kind[] = ['write', 'write', 'write', 'delete', 'tombstone', 'junk'];
const events = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), kind: fc.constantFrom(...kinds) }), { maxLength: 30 });

function messageOf({ key, kind }: Event, at: number): ReadMessage {
  const offset = BigInt(at);
  const message: ConsumedMessage = {
    offset,
    key: Buffer.from(key),
    value: kind === 'tombstone' ? null : Buffer.from(kind),
    timestamp: 0,
    headers: {},
  };
  if (kind === 'junk') return { message, change: { code: 'EVENT_UNDECODABLE', cause: 'junk' } };
  const from = { ...place, offset, table: 'public.orders', position: '', at: null, key: { id: key }, before: null };
  const change: Change =
    kind === 'write' ? { ...from, op: 'create', after: { id: key }, unchanged: [] } : { ...from, op: 'delete', after: null };
  return { message, change };
}

const queuesOf = (key: Buffer | null): readonly string[] => [String(key)];

/** The database: what commits together. */
type World = {
  position: number;
  lastDeleted: string | null;
  readonly handled: number[];
  readonly parked: { readonly offset: number; readonly key: string }[];
};

/** Hands the log over as a member does: in batches, each committed or lost, by whoever holds the partition; the rest is read from the stored position. */
function consumeAll(
  log: readonly ReadMessage[],
  poisons: ReadonlySet<number>,
  steps: readonly { readonly size: number; readonly dies: boolean }[],
): World {
  const world: World = { position: 0, lastDeleted: null, handled: [], parked: [] };
  const all = [...steps, ...Array.from({ length: log.length }, () => ({ size: 7, dies: false }))];
  for (const { size, dies } of all) {
    const batch = log.slice(world.position, world.position + size);
    const plan = planBatch(
      place,
      batch,
      {
        open: new Set(world.parked.map(({ key }) => `${place.topic}/0/${key}`)),
        lastDeleted: world.lastDeleted,
        poisons: new Map([...poisons].map((offset) => [BigInt(offset), { code: 'CONSUMER_POISON', cause: 'said so' }])),
      },
      queuesOf,
    );
    // Killed before its commit: nothing of it is there.
    if (dies) continue;
    world.position += batch.length;
    world.lastDeleted = plan.lastDeleted;
    world.handled.push(...plan.live.map(({ offset }) => Number(offset)));
    world.parked.push(...plan.parked.map(({ message, queue }) => ({ offset: Number(message.offset), key: queue })));
  }
  return world;
}

test('however the log is cut and whoever dies, each change is handled or parked once, and a key whose change is parked waits as a whole', () => {
  const steps = fc.array(fc.record({ size: fc.integer({ min: 0, max: 9 }), dies: fc.boolean() }), { maxLength: 30 });
  fc.assert(
    fc.property(events, fc.uniqueArray(fc.nat(29)), steps, (made, poisoned, cuts) => {
      const log = made.map(messageOf);
      const poisons = new Set(poisoned.filter((at) => 'op' in (log[at]?.change ?? {})));
      const world = consumeAll(log, poisons, cuts);
      const whole = consumeAll(log, poisons, [{ size: log.length, dies: false }]);
      assert.deepEqual(world, whole);
      assert.deepEqual(
        world.handled,
        world.handled.toSorted((a, b) => a - b),
      );
      // A tombstone that only follows its delete is none of them; every other message is.
      const follows = new Set(
        made.flatMap(({ key, kind }, at) =>
          kind === 'tombstone' && made[at - 1]?.key === key && isDelete(made[at - 1]?.kind) ? [at] : [],
        ),
      );
      const seen = [...world.handled, ...world.parked.map(({ offset }) => offset)].toSorted((a, b) => a - b);
      assert.deepEqual(
        seen,
        made.map((_, at) => at).filter((at) => !follows.has(at)),
      );
      for (const { key, offset } of world.parked) {
        assert.ok(!world.handled.some((at) => at > offset && made[at]?.key === key), `a later change of ${key} was handled`);
      }
    }),
    { numRuns: 500 },
  );
});

/** A tombstone counts as a delete for the next one. */
function isDelete(kind: Kind | undefined): boolean {
  return kind === 'delete' || kind === 'tombstone';
}

/** Tries a batch as the handler would, until it is over. Gives the order of commits and what was parked. */
function tryAll(
  length: number,
  bad: ReadonlySet<number>,
  policy: TryPolicy,
): { readonly committed: readonly number[]; readonly parked: readonly number[]; readonly calls: number } {
  const committed: number[] = [];
  const parked: number[] = [];
  let calls = 0;
  for (let now: Tries | null = firstTry(length); now !== null && calls < 10_000; calls += 1) {
    const part = Array.from({ length: now.to - now.from }, (_, at) => (now?.from ?? 0) + at);
    if (part.some((at) => bad.has(at) && !parked.includes(at))) {
      const next = afterFailure(now, policy);
      if (next.park !== null) parked.push(next.park);
      now = next.tries;
    } else {
      committed.push(...part.filter((at) => !parked.includes(at)));
      now = afterSuccess(now);
    }
  }
  return { committed, parked, calls };
}

test('with onError park exactly the changes at fault are parked, the others are committed once and in order, in few tries', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 60 }),
      fc.uniqueArray(fc.nat(59), { maxLength: 6 }),
      fc.integer({ min: 1, max: 4 }),
      (length, at, tries) => {
        const bad = new Set(at.filter((one) => one < length));
        const { committed, parked, calls } = tryAll(length, bad, { onError: 'park', tries, retryMaxMs: 1000 });
        assert.deepEqual(
          parked.toSorted((a, b) => a - b),
          [...bad].toSorted((a, b) => a - b),
        );
        assert.deepEqual(
          committed,
          Array.from({ length }, (_, one) => one).filter((one) => !bad.has(one)),
        );
        assert.ok(calls <= 1 + bad.size * (2 * tries + 2 * 7 + 1), `${calls} calls for ${bad.size} of ${length}`);
      },
    ),
  );
});

test('with onError retry nothing is parked, and the pauses grow to their most', () => {
  const policy: TryPolicy = { onError: 'retry', tries: 2, retryMaxMs: 1000 };
  let tries = firstTry(5);
  const waits: number[] = [];
  for (let at = 0; at < 8; at += 1) {
    const next = afterFailure(tries, policy);
    assert.equal(next.park, null);
    assert.deepEqual([next.tries.from, next.tries.to], [0, 5]);
    waits.push(next.waitMs);
    ({ tries } = next);
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1000, 1000, 1000, 1000]);
});

test('every file of the read model’s tables is the engine’s, or of mirrors and views alone', async () => {
  const ofMirrors = [
    '001-mirrored-tables.sql',
    '005-moved-rows.sql',
    '010-mirrors-from-configuration.sql',
    '011-projections.sql',
    '012-truncated-at.sql',
  ];
  const there = await readdir(new URL('../../read-model/sql/', import.meta.url));
  assert.deepEqual(
    there.toSorted(),
    [...engineFiles, ...ofMirrors].toSorted(),
    'a new file of read-model/sql: does a service’s consumer need it too?',
  );
});

test('a topic’s table and prefix', () => {
  assert.equal(tableOf('log.public.orders'), 'public.orders');
  assert.equal(tableOf('orders'), 'orders');
  assert.equal(onePrefix(['shop.log.public.orders', 'shop.log.public.items']), 'shop.log');
  assert.equal(onePrefix(['log.public.orders', 'query.public.orders']), null);
  assert.equal(onePrefix(['orders']), null);
});
