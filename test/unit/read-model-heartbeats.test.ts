import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Heartbeats, type Heard } from '#read-model/freshness/heartbeats.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
const numRuns = process.env['TEST_NIGHTLY'] === '1' ? 200 * 20 : 200;

const tables = ['public.a', 'public.b'];
const hour = 3_600_000;

/** What may happen next in the life of a source, its capture and a model. */
const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('beat' as const), table: fc.constantFrom(...tables, null), lagMs: fc.nat(20_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), back: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('jump' as const), byMs: fc.constantFrom(-hour, -30_000, 0, 0, 0, 30_000, hour, 48 * hour) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('junk' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const), afterMs: fc.constantFrom(0, 7 * 60_000, 2 * hour) }) },
);

type Written = { readonly table: string | null; readonly said: number; readonly truth: number; readonly stampedAt: number };

/** The true time up to which these beats prove each table; null while one was never spoken of. */
function truthOf(read: readonly Written[]): number | null {
  const times = tables.map((name) => Math.max(...read.filter(({ table }) => table === null || table === name).map(({ truth }) => truth)));
  return Math.min(...times) === -Infinity ? null : Math.min(...times);
}

test(`whatever clocks, junk, repetitions and restarts do: never later than the truth, and on with honest beats (seed ${seed})`, () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (life) => {
      let now = Date.UTC(2026, 10, 30);
      /** How far the source's clock is off. Kept beyond what a lag can hide: below it, no one can know. */
      let off = 0;
      let heartbeats = new Heartbeats({ tables });
      const read: Written[] = [];
      let junk = 0;
      const hear = (beat: Written): void => {
        heartbeats.note({ table: beat.table, provenTo: beat.said }, { stampedAt: beat.stampedAt, readAt: now });
        read.push(beat);
      };
      for (const next of life) {
        now += 1000;
        if (next.kind === 'beat') {
          const truth = now;
          now += next.lagMs;
          hear({ table: next.table, said: truth + off, truth, stampedAt: now });
        } else if (next.kind === 'again') {
          const beat = read.at(-1 - next.back);
          if (beat !== undefined) hear({ ...beat, stampedAt: beat.stampedAt });
        } else if (next.kind === 'jump') off = next.byMs;
        else if (next.kind === 'junk') {
          heartbeats.note(null, { stampedAt: now, readAt: now });
          junk += 1;
        } else {
          now += next.afterMs;
          const heard: Heard = heartbeats.heard();
          const before = heartbeats.provenTo(tables);
          heartbeats = new Heartbeats({ tables, heard });
          assert.equal(heartbeats.provenTo(tables), before, 'a restart forgets nothing');
        }
        const proven = heartbeats.provenTo(tables);
        const truth = truthOf(read);
        assert.ok(proven === null || (truth !== null && proven <= truth), `claims ${proven}, true is ${truth}`);
      }
      assert.equal(heartbeats.passedOver.unreadable, junk);
      // Then the clock is right, and beats come as before.
      off = 0;
      now += 1000;
      for (const table of tables) hear({ table, said: now, truth: now, stampedAt: now });
      assert.equal(heartbeats.provenTo(tables), now);
    }),
    { seed, numRuns },
  );
});

test('a heartbeat that is an hour ahead is counted, with by how much; one within what clocks differ by is taken for no later than now', () => {
  const heartbeats = new Heartbeats({ tables: ['public.a'] });
  const at = { stampedAt: 1_000_000, readAt: 1_000_500 };
  heartbeats.note({ table: null, provenTo: 1_000_000 + hour }, at);
  assert.equal(heartbeats.provenTo(['public.a']), null);
  assert.deepEqual(heartbeats.passedOver, { unreadable: 0, ahead: 1, aheadMs: hour });
  heartbeats.note({ table: null, provenTo: 1_000_900 }, at);
  assert.equal(heartbeats.provenTo(['public.a']), 1_000_000);
});

test('a source whose clock is known to be ahead is believed by that much less', () => {
  const heartbeats = new Heartbeats({ tables: ['public.a'], clockAheadMs: hour });
  heartbeats.note({ table: 'public.a', provenTo: 5000 + hour }, { stampedAt: 6000, readAt: 7000 });
  assert.equal(heartbeats.provenTo(['public.a']), 5000);
});

test('a table that is spoken of is not held back by an old heartbeat of all tables, and others take no room', () => {
  const heartbeats = new Heartbeats({ tables });
  const at = { stampedAt: -1, readAt: 100_000 };
  heartbeats.note({ table: null, provenTo: 5 }, at);
  heartbeats.note({ table: 'public.a', provenTo: 9 }, at);
  heartbeats.note({ table: 'public.b', provenTo: 8 }, at);
  heartbeats.note({ table: 'public.other', provenTo: 9 }, at);
  assert.equal(heartbeats.provenTo(tables), 8);
  assert.deepEqual(heartbeats.heard().tables, [
    ['public.a', 9],
    ['public.b', 8],
  ]);
});

test('a clock that was ahead by less than capture was late cannot be noticed at once; the next heartbeat takes back what it claimed', () => {
  const heartbeats = new Heartbeats({ tables: ['public.a'] });
  const late = { stampedAt: 3 * hour, readAt: 3 * hour };
  heartbeats.note({ table: null, provenTo: 2 * hour }, late);
  assert.equal(heartbeats.provenTo(['public.a']), 2 * hour);
  heartbeats.note({ table: null, provenTo: hour + 5000 }, late);
  assert.equal(heartbeats.provenTo(['public.a']), hour + 5000);
});
