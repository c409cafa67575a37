import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparePlaces, judgeBinlogLoss, judgeBinlogMove } from '#connectors/binlog/position.ts';

const binlog = {
  serverId: 1,
  files: [
    { name: 'binlog.000003', bytes: 100 },
    { name: 'binlog.000004', bytes: 50 },
  ],
};

const at = (file: string, pos: number): { file: string; pos: number } => ({ file, pos });

test('places compare by the number of their file, past its padding, then by the byte', () => {
  const places = [
    { file: 'b.1000000', pos: 4 },
    { file: 'b.999999', pos: 900 },
    { file: 'b.999999', pos: 4 },
  ];
  assert.deepEqual(places.toSorted(comparePlaces), places.toReversed());
});

test('loss: a file that was purged, a place after the end; another server cannot be judged, and a connector without position has lost nothing', () => {
  const judge = (file: string, pos: number, serverId?: number): string => judgeBinlogLoss({ file, pos, serverId }, binlog).kind;
  assert.equal(judge('binlog.000003', 7, 1), 'none');
  assert.equal(judge('binlog.000004', 50), 'none');
  assert.equal(judge('binlog.000002', 7, 1), 'lost');
  assert.equal(judge('binlog.000004', 51, 0), 'lost');
  assert.equal(judge('binlog.000002', 7, 2), 'unknown');
  assert.equal(judgeBinlogLoss(undefined, binlog).kind, 'unused');
});

test('moves are told in bytes, across files; what the binlog does not hold is refused', () => {
  const now = at('binlog.000004', 10);
  assert.deepEqual(judgeBinlogMove(now, at('binlog.000003', 90), binlog), { kind: 'back', repeated: 20n });
  assert.deepEqual(judgeBinlogMove(now, at('binlog.000004', 30), binlog), { kind: 'forward', skipped: 20n });
  assert.deepEqual(judgeBinlogMove(now, now, binlog), { kind: 'none' });
  assert.equal(judgeBinlogMove(now, at('binlog.000001', 4), binlog).kind, 'not-in-log');
  assert.equal(judgeBinlogMove(now, at('binlog.000004', 51), binlog).kind, 'not-in-log');
  assert.equal(judgeBinlogMove(now, undefined, binlog).kind, 'unknown');
  assert.equal(judgeBinlogMove(now, now, null).kind, 'unknown');
});
