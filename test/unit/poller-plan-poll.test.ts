import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mark } from '#cdc-poller/fence/floor.ts';
import { startPosition, type Basis, type Capture, type Position, type StartOptions } from '#cdc-poller/position/position.ts';
import type { WatchedObservation } from '#cdc-poller/source/dialect.ts';
import type { TableShape } from '#cdc-poller/source/table/table-shape.ts';
import { nothingKnown, planPoll, type Known, type Poll, type PollContext } from '#cdc-poller/table/plan-poll.ts';

/** What one look at the server leads to: what is read, where the position is then, and what the next look may leave out. */

const second = 1_000_000n;

function basisOf(capture: Capture): Basis {
  return { capture, by: ['at'], order: ['at', 'id'], key: ['id'] };
}

function startOf(capture: Capture, high: bigint | null = null): StartOptions {
  const margin = capture === 'id-window' ? 10n : 5n * second;
  return { systemIdentifier: 's', timeline: '1', basis: basisOf(capture), relation: null, start: 'everything', margin, high };
}

function shapeOf(capture: Capture, query: string | null = null): TableShape {
  return {
    id: { schema: 'public', table: 't' },
    query,
    capture,
    inheritable: false,
    hasXmin: true,
    columns: [],
    published: [],
    key: [],
    timestamps: [],
    clock: null,
    order: [],
    basis: basisOf(capture),
    hasWitness: false,
    relation: null,
    sequence: null,
    nextId: null,
  };
}

/** A server without an open transaction, `seconds` after the beginning, that gives `xid` next. */
function seenAt(seconds: number, xid: bigint, more: Partial<WatchedObservation> = {}): WatchedObservation {
  const clock = 1000n * second + BigInt(seconds) * second;
  return { clock, open: new Set(), snapshot: { xmin: xid, xmax: xid, text: `${xid}:${xid}:` }, watched: null, log: '0/10', ...more };
}

/** As a process that asked at the same moment by its own clock, and was answered at once. */
function plan(
  capture: Capture,
  seconds: number,
  seen: WatchedObservation,
  stored: Position | null,
  known: Known = nothingKnown,
  more: Partial<PollContext> = {},
): Poll {
  const context: PollContext = {
    shape: shapeOf(capture),
    dialect: { readWatch: () => null },
    start: startOf(capture),
    stored,
    isFull: false,
    askedAt: seconds * 1000,
    answeredAt: seconds * 1000,
    ...more,
  };
  return planPoll(context, known, seen);
}

function readWatch(_shape: TableShape, watched: string | null): bigint | null {
  return watched === null ? null : BigInt(watched);
}

/** Loaded, and polled once at 1 s with nothing open: the position then, and what the process knows. */
function polledOnce(capture: Capture): { readonly position: Position; readonly known: Known } {
  const loaded: Position = { ...startPosition(startOf(capture, 100n), seenAt(0, 50n)), pass: null };
  const poll = plan(capture, 1, seenAt(1, 50n), loaded);
  assert.equal(poll.pass.kind, capture === 'whole' ? 'whole' : 'poll');
  return { position: poll.finish(null), known: poll.knownAfter };
}

test('a table without a position is loaded; one that was left in the middle of a pass goes on with that pass', () => {
  const first = plan('time', 0, seenAt(0, 50n), null);
  assert.deepEqual([first.pass.kind, first.resumed, first.isIdle], ['load', false, false]);
  const middle: Position = { ...first.position, pass: { ...first.pass, cursor: ['x', '7'] } };
  const again = plan('time', 1, seenAt(1, 60n), middle);
  assert.deepEqual([again.pass.cursor, again.resumed, again.pass.nextHorizon], [['x', '7'], true, 50n]);
});

test('where nothing was committed since the last whole poll there is nothing to read, and the sequence is not asked', () => {
  for (const capture of ['time', 'id', 'window', 'id-window'] as const) {
    const { position, known } = polledOnce(capture);
    assert.equal(plan(capture, 2, seenAt(2, 50n), position, known).isIdle, true, capture);
    assert.equal(plan(capture, 2, seenAt(2, 51n), position, known).isIdle, false, capture);
    assert.equal(plan(capture, 2, seenAt(2, 50n), position).isIdle, false, `${capture}, of another process`);
  }
  const { position, known } = polledOnce('id');
  const asked = plan('id', 2, seenAt(2, 51n, { watched: '70' }), position, known, { dialect: { readWatch } });
  assert.equal(asked.known.drawn, 70n);
  const unasked = plan('id', 3, seenAt(3, 51n), position, asked.knownAfter, { dialect: { readWatch } });
  assert.deepEqual([unasked.isIdle, unasked.known.drawn], [true, 70n]);
});

test('what may change without a transaction is read all the same: a query, a whole table, a window whose rows had to wait', () => {
  const time = polledOnce('window');
  const idle = (more: Partial<PollContext>): boolean => plan('window', 2, seenAt(2, 50n), time.position, time.known, more).isIdle;
  assert.deepEqual([idle({}), idle({ shape: shapeOf('window', 'SELECT now()') }), idle({ isFull: true })], [true, false, false]);
  const fenced = polledOnce('time');
  assert.equal(plan('time', 2, seenAt(2, 50n), fenced.position, fenced.known, { isFull: true }).isIdle, true);
  const whole = polledOnce('whole');
  assert.equal(plan('whole', 2, seenAt(2, 50n), whole.position, whole.known).isIdle, false);
});

test('a pass that another process began proves nothing: the floor stays, and the same snapshot is read again', () => {
  const { position } = polledOnce('time');
  const begun = plan('time', 60, seenAt(60, 70n), position);
  const middle: Position = { ...begun.position, pass: { ...begun.pass, cursor: ['x', '7'] } };
  const resumed = plan('time', 61, seenAt(61, 70n), middle);
  assert.equal(resumed.finish(['x', '9']).floor, position.floor);
  const next = plan('time', 62, seenAt(62, 70n), resumed.finish(['x', '9']), resumed.knownAfter);
  assert.deepEqual([next.isIdle, next.resumed], [false, false]);
  assert.ok(next.finish(null).floor > position.floor);
  // A load and a repair read below the floor, and prove as little of it.
  const load = plan('time', 0, seenAt(0, 50n), null);
  assert.deepEqual([load.finish(null).floor, load.knownAfter.settledSnapshot], [load.position.floor, '']);
});

test('what the load left is read when its transactions have ended, though nothing else was committed, and lets no floor follow', () => {
  const { position, known } = polledOnce('time');
  const repair = { from: null, below: position.floor, horizon: 50n, open: new Set(['1/1']), gate: null };
  const waiting = plan('time', 60, seenAt(60, 50n, { open: new Set(['1/1']) }), { ...position, repair }, known);
  assert.deepEqual([waiting.pass.kind, waiting.position.repair?.gate], ['poll', null]);
  const ended = plan('time', 60, seenAt(60, 50n), { ...position, repair }, known);
  assert.deepEqual([ended.pass.kind, ended.position.repair?.gate, ended.isIdle], ['repair', 50n, false]);
  assert.deepEqual([ended.finish(null).repair, ended.finish(null).floor], [null, position.floor]);
});

test('a pass that was left in its middle is gone on with, also where its snapshot is the one that was settled', () => {
  const { position, known } = polledOnce('window');
  // Its rows had to wait, so it was read again.
  const { pass } = plan('window', 2, seenAt(2, 50n), position, known, { isFull: true });
  const middle: Position = { ...position, pass: { ...pass, cursor: ['x', '7'] } };
  const again = plan('window', 3, seenAt(3, 50n), middle, known);
  assert.deepEqual([again.resumed, again.isIdle], [true, false]);
});

test('the floor follows to a moment whose transactions have ended, and that moment goes back with the clock', () => {
  const { position, known } = polledOnce('time');
  const open = (at: number, id: string): WatchedObservation => seenAt(at, 80n, { open: new Set([id]) });
  const held = plan('time', 9, open(9, '1/1'), position, known);
  const moment = seenAt(9, 0n).clock - 5n * second;
  const freed = plan('time', 20, open(20, '2/2'), held.finish(null), held.knownAfter);
  assert.equal(freed.finish(null).floor, moment);
  const back = plan('time', 20, open(10, '2/2'), held.finish(null), held.knownAfter);
  assert.equal(back.finish(null).floor, moment - back.steppedBack);
  assert.equal(back.steppedBack, 10n * second);
  assert.deepEqual(
    back.known.candidates.map(({ mark }) => mark),
    held.knownAfter.candidates.map(({ mark }) => mark - 10n * second),
  );
});

test('of ids, the floor goes by how far the sequence was at the look before', () => {
  const { position, known } = polledOnce('id');
  const after = (drawn: bigint): Mark => {
    const more = { dialect: { readWatch: () => 200n } };
    return plan('id', 2, seenAt(2, 60n), { ...position, floor: 0n }, { ...known, drawn }, more).finish(null).floor;
  };
  assert.deepEqual([after(90n), after(100n), after(150n)], [91n, 101n, 101n]);
});

test('a poll that was whole lets the floor follow the moment, less the margin, and the horizon the snapshot', () => {
  const { position, known } = polledOnce('time');
  const after = plan('time', 9, seenAt(9, 80n), position, known).finish(null);
  assert.deepEqual([after.floor, after.horizon, after.pass], [seenAt(9, 80n).clock - 5n * second, 80n, null]);
  const held = plan(
    'time',
    9,
    seenAt(9, 80n, { open: new Set(['1/1']), snapshot: { xmin: 60n, xmax: 80n, text: '60:80:' } }),
    position,
    known,
  );
  assert.deepEqual([held.finish(null).floor, held.finish(null).horizon], [position.floor, 60n]);
});

test('a clock that went back lowers the floor by as much where times decide what is new; ids do not mind', () => {
  const { position, known } = polledOnce('time');
  const back = plan('time', 11, seenAt(-9, 90n), position, known);
  assert.equal(back.steppedBack, 20n * second);
  assert.equal(back.position.floor, position.floor - 20n * second);
  const read: Mark | null = back.pass.from;
  assert.equal(read, position.floor - 20n * second);
  // After a restart the time that passed is not known: only what is behind the position itself is a step.
  assert.equal(plan('time', 500, seenAt(2, 90n), position).steppedBack, 0n);
  assert.equal(plan('time', 500, seenAt(-9, 90n), position).steppedBack, 10n * second);
  const window = polledOnce('window');
  assert.equal(plan('window', 11, seenAt(-9, 90n), window.position, window.known).position.floor, window.position.floor - 20n * second);
  const ids = polledOnce('id');
  const unmoved = plan('id', 11, seenAt(-9, 90n), ids.position, ids.known);
  assert.deepEqual([unmoved.steppedBack, unmoved.position.floor], [0n, ids.position.floor]);
});

test('of a window it is reported what the poll before should have shown; of a fence, and of a first poll, nothing is', () => {
  const shown = (capture: Capture): Mark | null => {
    const { position, known } = polledOnce(capture);
    return plan(capture, 2, seenAt(2, 60n), position, known).shownBefore;
  };
  assert.deepEqual([shown('window'), shown('id-window'), shown('time'), shown('id')], [seenAt(1, 0n).clock, 100n, null, null]);
  const loaded: Position = { ...startPosition(startOf('window'), seenAt(0, 50n)), pass: null };
  assert.equal(plan('window', 1, seenAt(1, 50n), loaded).shownBefore, null);
});

test('the position takes over the clock and the log, keeps the log where the server does not say, and is not done any more', () => {
  const { position, known } = polledOnce('time');
  const done: Position = { ...position, done: true };
  const reported = plan('time', 7, seenAt(7, 60n, { log: '0/99' }), done, known).position;
  assert.deepEqual([reported.clock, reported.log, reported.done], [seenAt(7, 0n).clock, '0/99', false]);
  assert.equal(plan('time', 7, seenAt(7, 60n, { log: null }), done, known).position.log, '0/10');
});

test('how old the state is: since the last look, and while a table is loaded since the load began', () => {
  const { position, known } = polledOnce('time');
  assert.equal(plan('time', 31, seenAt(31, 60n), position, known).behind, 30n * second);
  const load = plan('time', 0, seenAt(0, 50n), null);
  const looked: Position = { ...load.position, clock: seenAt(40, 0n).clock, pass: { ...load.pass, cursor: ['x', '1'] } };
  assert.equal(plan('time', 45, seenAt(45, 60n), looked).behind, 45n * second);
});
