import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { followClock, type ClockReference } from '#cdc-poller/fence/clock.ts';
import { advanceFloor, lowerFloor, type FloorState, type Observation } from '#cdc-poller/fence/floor.ts';
import { formatMicros } from '#cdc-poller/fence/micros.ts';
import { judgeRow, type Pass } from '#cdc-poller/fence/pass.ts';
import { RememberedKeys } from '#cdc-poller/fence/remembered-keys.ts';
import { narrowXid, parseSnapshot, widenXid } from '#cdc-poller/fence/xid.ts';

const seed = Number(process.env['FC_SEED'] ?? Date.now());
const options = { seed, numRuns: 500 };

test('a row id is widened with the epoch of the snapshot that shows it', () => {
  const twoTo32 = 2n ** 32n;
  assert.equal(widenXid(41n, 42n), 41n);
  assert.equal(widenXid(5n, twoTo32 * 3n + 6n), twoTo32 * 3n + 5n);
  assert.equal(widenXid(twoTo32 - 1n, twoTo32 + 5n), twoTo32 - 1n);
  assert.equal(widenXid(2n, 1000n), 0n, 'frozen by pg_upgrade');
  fc.assert(
    fc.property(fc.bigInt({ min: 3n, max: 2n ** 62n }), fc.bigInt({ min: 1n, max: 2n ** 31n }), (xid, ahead) => {
      fc.pre(BigInt(narrowXid(xid)) >= 3n);
      assert.equal(widenXid(BigInt(narrowXid(xid)), xid + ahead), xid);
    }),
    options,
  );
});

test('a snapshot is read from its text', () => {
  assert.deepEqual(parseSnapshot('10:20:10,14'), { xmin: 10n, xmax: 20n, text: '10:20:10,14' });
  assert.throws(() => parseSnapshot('what'), TypeError);
});

test('microseconds are written as a timestamp, before and after 1970', () => {
  assert.equal(formatMicros(1_795_409_484_978_123n), '2026-11-23T04:51:24.978123Z');
  assert.equal(formatMicros(-1n), '1969-12-31T23:59:59.999999Z');
});

const poll: Pass = { kind: 'poll', from: 0n, below: null, horizon: 100n, nextHorizon: 110n, cursor: null };
const judge = (pass: Pass, xid: bigint, remembered = new RememberedKeys(), rememberedMax = 10) =>
  judgeRow(pass, { xid, key: 'k' }, remembered, { hasRepair: true, rememberedMax });

test('a poll publishes what is at or past the horizon and not remembered, and remembers what is past the next', () => {
  const remembered = new RememberedKeys();
  remembered.add(112n, 'k');
  assert.equal(judge(poll, 99n), 'skip');
  assert.equal(judge(poll, 100n), 'publish');
  assert.equal(judge(poll, 110n), 'publish-and-remember');
  assert.equal(judge(poll, 112n, remembered), 'skip');
  assert.equal(judge(poll, 113n, remembered, 1), 'wait');
  assert.equal(judge(poll, 105n, remembered, 1), 'publish');
});

test('what the load leaves is what the repair brings: each version once', () => {
  const load: Pass = { kind: 'load', from: null, below: 9n, horizon: null, nextHorizon: 100n, cursor: null };
  const repair: Pass = { ...load, kind: 'repair', horizon: 100n, nextHorizon: 200n };
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 300n }), (xid) => {
      const byLoad = judge(load, xid) === 'publish';
      const byRepair = judge(repair, xid) === 'publish';
      assert.notEqual(byLoad, byRepair);
    }),
    options,
  );
});

test('remembered keys are forgotten by whole transactions', () => {
  const remembered = new RememberedKeys();
  remembered.add(5n, 'a');
  remembered.add(5n, 'a');
  remembered.add(5n, 'b');
  remembered.add(9n, 'a');
  assert.equal(remembered.size, 3);
  remembered.forgetBelow(9n);
  assert.equal(remembered.size, 1);
  assert.ok(remembered.has(9n, 'a') && !remembered.has(5n, 'b'));
});

/**
 * A simulated server: transactions begin, take ids, prepare, commit and roll back at random; between those a poll observes. Rows are
 * stamped with the beginning of their transaction. Whatever becomes visible after a poll must carry a stamp at or past the floor.
 */
test('no row becomes visible below the floor, whatever transactions do', () => {
  const step = fc.record({
    what: fc.constantFrom('begin', 'begin', 'begin', 'write', 'write', 'write', 'prepare', 'commit', 'rollback', 'poll', 'poll', 'poll'),
    which: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 200, size: 'max' }), (steps) => {
      let clock = 0n;
      let nextXid = 3n;
      let nextVxid = 0;
      let state: FloorState = { floor: null, candidates: [] };
      type Transaction = { readonly began: bigint; vxid: string | null; xid: bigint | null };
      const open: Transaction[] = [];
      for (const { what, which } of steps) {
        clock += 1n;
        const transaction = open[which % Math.max(1, open.length)];
        if (what === 'begin') open.push({ began: clock, vxid: String((nextVxid += 1)), xid: null });
        if (what === 'poll') {
          const xids = open.flatMap(({ xid }) => (xid === null ? [] : [xid]));
          const observation: Observation = {
            clock,
            open: new Set(open.flatMap(({ vxid }) => (vxid === null ? [] : [vxid]))),
            snapshot: { xmin: xids.reduce((least, xid) => (xid < least ? xid : least), nextXid), xmax: nextXid },
          };
          state = advanceFloor(state, observation, 0n);
        }
        if (transaction === undefined) continue;
        if (what === 'write' && transaction.vxid !== null) transaction.xid ??= nextXid++;
        if (what === 'prepare' && transaction.xid !== null) transaction.vxid = null;
        if (what === 'rollback' || what === 'commit') {
          open.splice(open.indexOf(transaction), 1);
          const visible = what === 'commit' && transaction.xid !== null;
          if (visible) assert.ok(state.floor === null || transaction.began >= state.floor, `${transaction.began} below ${state.floor}`);
        }
      }
    }),
    options,
  );
});

function seen(clock: bigint, open: readonly string[]): Observation {
  return { clock, open: new Set(open), snapshot: { xmin: 50n, xmax: 50n } };
}

test('the floor follows when nothing is open, and its candidates stay few while a transaction is', () => {
  let state: FloorState = { floor: null, candidates: [] };
  state = advanceFloor(state, seen(1000n, []), 10n);
  assert.equal(state.floor, 990n);
  for (let turn = 0n; turn < 1000n; turn += 1n) state = advanceFloor(state, seen(2000n + turn, ['1/1']), 10n);
  assert.equal(state.floor, 990n);
  assert.ok(state.candidates.length <= 33);
  state = advanceFloor(state, seen(4000n, []), 10n);
  assert.equal(state.floor, 3990n);
});

test('a clock that steps back lowers the floor and its candidates by the step; small steps add up', () => {
  const state = lowerFloor({ floor: 100n, candidates: [{ mark: 90n, at: 90n, open: new Set(), gate: null }] }, 30n);
  assert.deepEqual([state.floor, state.candidates[0]?.mark], [70n, 60n]);
  let reference: ClockReference = null;
  const follow = (clock: bigint, at: number): bigint => {
    const followed = followClock(reference, { clock, askedAt: at, answeredAt: at });
    ({ reference } = followed);
    return followed.step;
  };
  assert.equal(follow(1_000_000n, 0), 0n);
  assert.equal(follow(2_000_000n, 1000), 0n, 'as fast as ours');
  assert.equal(follow(2_900_000n, 2000), 0n, 'a tenth behind is tolerated');
  assert.equal(follow(3_700_000n, 3000), 300_000n, 'three tenths in all are not');
  assert.equal(follow(1_700_000n, 4000), 3_000_000n, 'a step');
  assert.equal(follow(2_700_000n, 5000), 0n, 'and on from there');
});
