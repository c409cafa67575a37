import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { beginning, type FloorState, type Micros, type Observation } from '#cdc-poller/fence/floor.ts';
import { earliestReading, instantOf, latestInstantOf, wallClock, type WallClock } from '#cdc-poller/fence/local-time.ts';
import { formatMicros, parseMicros } from '#cdc-poller/fence/micros.ts';
import { adoptPosition, type Present } from '#cdc-poller/position/adopt.ts';
import { advance } from '#cdc-poller/position/advance.ts';
import { decodeHead, encodeHead } from '#cdc-poller/position/codec.ts';
import { afterPass, nextPass, startPosition, type Basis, type Position } from '#cdc-poller/position/position.ts';
import { startOf } from '#cdc-poller/position/start-of.ts';
import { CdcError } from '#pipeline/index.ts';

const seed = Number(process.env['FC_SEED'] ?? Date.now());
const options = { seed, numRuns: 500 };

const byId: Basis = { capture: 'id', by: ['id'], order: ['id'], key: ['id'] };
const byTime: Basis = { capture: 'time', by: ['updated_at'], order: ['updated_at', 'id'], key: ['id'] };
const relation = { oid: '7', file: '7' };
const quiet: Observation = { clock: 1000n, open: new Set(), snapshot: { xmin: 50n, xmax: 50n } };
const busy: Observation = { ...quiet, open: new Set(['1/1']) };

function begun(basis: Basis, seen: Observation = quiet, rest: Partial<Parameters<typeof startPosition>[0]> = {}): Position {
  return startPosition(
    { systemIdentifier: 's', timeline: '1', basis, relation, start: 'everything', margin: 0n, high: null, ...rest },
    seen,
  );
}

/**
 * A simulated server with a sequence: transactions begin, draw ids and insert, prepare, commit and roll back at random; some write an id
 * by hand, above the sequence. Between those a poll observes and reads. A row that becomes visible must not be below the floor that is in force, or no poll would read it.
 */
function simulateIds(steps: readonly { readonly what: string; readonly which: number }[], canReadSequence: boolean): void {
  let clock = 0n;
  let nextXid = 3n;
  let nextVxid = 0;
  let sequence = 0n;
  type Transaction = { vxid: string | null; xid: bigint | null; readonly ids: bigint[] };
  const open: Transaction[] = [];
  const visible: { id: bigint; published: boolean }[] = [];
  let candidates: FloorState['candidates'] = [];
  let drawn: bigint | null = null;
  let position: Position = { ...begun(byId), pass: null };
  for (const { what, which } of steps) {
    clock += 1n;
    const transaction = open[which % Math.max(1, open.length)];
    if (what === 'begin') open.push({ vxid: String((nextVxid += 1)), xid: null, ids: [] });
    if (what === 'poll') {
      const xids = open.flatMap(({ xid }) => (xid === null ? [] : [xid]));
      const seen: Observation = {
        clock,
        open: new Set(open.flatMap(({ vxid }) => (vxid === null ? [] : [vxid]))),
        snapshot: { xmin: xids.reduce((least, xid) => (xid < least ? xid : least), nextXid), xmax: nextXid },
      };
      const after = advance(position, candidates, seen, { margin: 0n, drawn });
      if (canReadSequence) drawn = sequence;
      const pass = nextPass(position, seen, 0n);
      const read = visible.filter(({ id }) => pass.from === null || id >= pass.from);
      for (const row of read) row.published = true;
      const last = read
        .map(({ id }) => id)
        .toSorted((a, b) => (a < b ? -1 : 1))
        .at(-1);
      position = { ...afterPass(position, pass, last === undefined ? null : [last.toString()]), floor: after.floor ?? position.floor };
      candidates = after.candidates;
    }
    if (transaction === undefined) continue;
    if ((what === 'insert' || what === 'by hand') && transaction.vxid !== null) {
      transaction.xid ??= nextXid++;
      transaction.ids.push(what === 'insert' || !canReadSequence ? (sequence += 1n) : sequence + 1000n + BigInt(which));
    }
    if (what === 'prepare' && transaction.xid !== null) transaction.vxid = null;
    if (what === 'rollback' || what === 'commit') {
      open.splice(open.indexOf(transaction), 1);
      if (what === 'commit') {
        for (const id of transaction.ids) {
          assert.ok(id >= position.floor, `id ${id} becomes visible below the floor ${position.floor}`);
          visible.push({ id, published: false });
        }
      }
    }
  }
}

/** More begin than end, so that many are open at a time: with few, every floor is true. */
const what = fc.oneof(
  { weight: 4, arbitrary: fc.constant('begin') },
  { weight: 5, arbitrary: fc.constant('insert') },
  { weight: 1, arbitrary: fc.constantFrom('by hand', 'prepare', 'rollback') },
  { weight: 2, arbitrary: fc.constant('commit') },
  { weight: 4, arbitrary: fc.constant('poll') },
);
const step = fc.record({ what, which: fc.nat(20) });

test('no id becomes visible below the floor, whatever transactions do; ids written by hand included where the sequence can be read', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 50, maxLength: 200, size: 'max' }), fc.boolean(), (steps, canReadSequence) =>
      simulateIds(steps, canReadSequence),
    ),
    options,
  );
});

test('the id floor follows when nothing is open', () => {
  let position: Position = { ...begun(byId), pass: null };
  for (const last of ['5', '9', '9']) {
    const after = advance(position, [], quiet, { margin: 0n, drawn: null });
    position = { ...afterPass(position, nextPass(position, quiet, 0n), [last]), floor: after.floor ?? position.floor };
  }
  assert.equal(position.floor, 10n);
});

/** A clock that is set back by `by` at `at`, and was ahead by it before. */
const setBack = (at: Micros, by: Micros): WallClock => ({ offsetAt: (instant) => (instant < at ? by : 0n) });
const minute = 60_000_000n;

test('local times: the earliest reading from an instant on is below all that follow, and one of them shows it', () => {
  const instant = fc.bigInt({ min: -300n, max: 300n }).map((minutes) => minutes * minute + 7n);
  fc.assert(
    fc.property(instant, fc.integer({ min: 1, max: 180 }), fc.array(fc.nat(600 * 60), { minLength: 1 }), (from, by, later) => {
      const clock = setBack(0n, BigInt(by) * minute);
      const earliest = earliestReading(clock, from);
      for (const seconds of later) {
        const then = from + BigInt(seconds) * 1_000_000n;
        assert.ok(then + clock.offsetAt(then) >= earliest);
      }
      const shownAt = [from, 0n].filter((then) => then >= from).map((then) => then + clock.offsetAt(then));
      assert.ok(shownAt.includes(earliest), 'no lower than it has to be');
      assert.ok(latestInstantOf(clock, from + clock.offsetAt(from)) >= from, 'a reading is not taken for older than it is');
    }),
    options,
  );
});

const at = (text: string): Micros => parseMicros(text) ?? assert.fail(text);

test('the hour that a zone shows twice: the floor is lowered to its beginning, and only then', () => {
  const berlin = wallClock('Europe/Berlin');
  const local = (text: string): string => formatMicros(earliestReading(berlin, at(text)));
  // Summer time ends on 2026-10-25 at 01:00 UTC: 03:00 becomes 02:00.
  assert.equal(local('2026-10-24T23:59:59.5Z'), '2026-10-25T01:59:59.500000Z');
  assert.equal(local('2026-10-25T00:30:00Z'), '2026-10-25T02:00:00.000000Z');
  assert.equal(local('2026-10-25T01:30:00Z'), '2026-10-25T02:30:00.000000Z');
  // And begins on 2026-03-29.
  assert.equal(local('2026-03-29T00:30:00Z'), '2026-03-29T01:30:00.000000Z');
  assert.equal(local('2026-03-29T01:30:00Z'), '2026-03-29T03:30:00.000000Z');
  assert.equal(formatMicros(instantOf(berlin, at('2026-10-25T02:30:00Z'))), '2026-10-25T00:30:00.000000Z');
  assert.equal(formatMicros(instantOf(berlin, at('2026-07-01T12:00:00Z'))), '2026-07-01T10:00:00.000000Z');
  assert.equal(wallClock('Asia/Kolkata').offsetAt(0n), 330n * minute);
  assert.equal(wallClock('America/St_Johns').offsetAt(at('2026-07-01T00:00:00Z')), -150n * minute);
});

test('times are read as Postgres writes them, to the microsecond', () => {
  for (const text of [
    '2026-11-23 05:11:24.978123+00',
    '2026-11-23T05:11:24.978123Z',
    '2026-11-23 05:11:24.978123',
    '2026-11-23 10:41:24.978123+05:30',
  ]) {
    assert.equal(parseMicros(text), 1_795_410_684_978_123n, text);
  }
  for (const text of ['infinity', '-infinity', '0044-03-15 12:00:00 BC', '']) assert.equal(parseMicros(text), null, text);
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 250_000_000_000_000_000n }), (micros) => assert.equal(parseMicros(formatMicros(micros)), micros)),
    options,
  );
});

test('where a table begins: everything, now, a time, an id', () => {
  assert.deepEqual(startOf('2026-01-01T01:00:00+01:00'), { from: parseMicros('2026-01-01T00:00:00Z') });
  assert.deepEqual(startOf('42'), { from: 42n });
  const now = begun(byTime, busy, { start: 'now' });
  assert.deepEqual([now.pass, now.horizon, now.floor, now.repair?.from], [null, 50n, 1000n, null]);
  const fromTime = begun(byTime, busy, { start: { from: 400n } });
  assert.deepEqual([fromTime.pass?.from, fromTime.pass?.below, fromTime.repair?.from], [400n, 1000n, 400n]);
  assert.equal(begun(byTime, quiet, { start: { from: 5000n } }).pass?.from, 1000n, 'a time to come is now');
  const fromId = begun(byId, quiet, { start: { from: 10n }, high: 99n });
  assert.deepEqual([fromId.pass?.from, fromId.pass?.below, fromId.floor], [10n, 100n, 100n]);
});

const present: Present = {
  table: 'public.t',
  systemIdentifier: 's',
  timeline: '1',
  log: null,
  nextXid: null,
  basis: byTime,
  relation,
  rescanRewritten: false,
  nextId: null,
};

test('another table of the name is read from the beginning; in the middle of a load the load begins again', () => {
  const polling: Position = { ...begun(byTime, busy), pass: null, horizon: 60n, floor: 900n };
  assert.deepEqual(adoptPosition(polling, present), polling);
  const other = adoptPosition(polling, { ...present, relation: { oid: '8', file: '8' } });
  assert.deepEqual([other?.floor, other?.horizon, other?.repair, other?.relation?.oid], [beginning, null, null, '8']);
  assert.equal(nextPass(other ?? assert.fail(), quiet, 0n).from, null);
  assert.equal(adoptPosition(begun(byTime, busy), { ...present, relation: { oid: '8', file: '8' } }), null);
  const rewritten = { ...present, relation: { oid: '7', file: '9' } };
  assert.equal(adoptPosition(polling, rewritten)?.floor, 900n);
  const rescanned = adoptPosition(polling, { ...rewritten, rescanRewritten: true });
  assert.deepEqual([rescanned?.floor, rescanned?.repair], [beginning, polling.repair]);
});

test('a position is refused by another server, and by another mode, column or key, each named', () => {
  const polling: Position = { ...begun(byTime), pass: null, horizon: 60n };
  const refusal = (change: Partial<Present>): string => {
    try {
      adoptPosition(polling, { ...present, ...change });
    } catch (error) {
      if (error instanceof CdcError) return `${error.code} ${error.message}`;
      throw error;
    }
    return 'none';
  };
  assert.match(refusal({ systemIdentifier: 'x' }), /^SOURCE_CHANGED .*public\.t.*timeline 1; the server is system identifier x/);
  assert.match(refusal({ timeline: '2' }), /^SOURCE_CHANGED /);
  assert.match(refusal({ basis: byId }), /^TABLE_CHANGED .*time; now it is id/);
  assert.match(refusal({ basis: { ...byTime, by: ['changed'] } }), /^TABLE_CHANGED .*\(updated_at\); now it is \(changed\)/);
  assert.match(refusal({ basis: { ...byTime, key: ['uuid'] } }), /^TABLE_CHANGED .*key \(id\); now it is \(uuid\)/);
  assert.equal(refusal({ basis: { ...byTime, order: ['updated_at', 'uuid'] } }), 'none', 'between passes the order may change');
});

test('positions survive their text, and those of version 1 are still read', () => {
  const position: Position = {
    ...begun(byId, busy, { high: 7n }),
    pass: { kind: 'poll', from: 1n, below: null, horizon: 2n, nextHorizon: 3n, cursor: ['a', 'b'] },
  };
  assert.deepEqual(decodeHead(encodeHead({ position, chunks: [1] }), 'here'), { version: 2, position, chunks: [1] });
  const old = `{"version":1,"position":{"systemIdentifier":"s","timeline":"1","clock":"9","floor":"8","horizon":"7",
    "pass":{"kind":"poll","from":"8","below":null,"horizon":"7","nextHorizon":"9","cursor":{"timestamp":"2026-01-01 00:00:00+00","id":"5"}},"repair":null},"chunks":[]}`;
  const { position: read } = decodeHead(old, 'here');
  assert.deepEqual([read.pass?.cursor, read.basis, read.floor], [['2026-01-01 00:00:00+00', '5'], null, 8n]);
});

test('a position that a newer version wrote is refused by its version and place, whatever else is in it', () => {
  const text = encodeHead({ position: begun(byId, busy, { high: 7n }), chunks: [] }).replace('"version":2', '"version":3');
  for (const newer of [text, '{"version":3,"positions":{}}'])
    assert.throws(() => decodeHead(newer, 'offset 4'), {
      code: 'POSITION_INVALID',
      message: 'the record at offset 4 is a position of version 3; this program knows 2 and older',
      remedy: /^Run the version that wrote it, or cdc poller reset/,
    });
  assert.throws(() => decodeHead('{"position":{}}', 'offset 4'), { message: 'the record at offset 4 is not a position of version 2' });
});
