import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasRead, judgeBinlogLoss, judgeBinlogMove } from '#connectors/binlog/position.ts';

const binlog = {
  serverId: 1,
  files: [
    { name: 'binlog.000003', bytes: 100 },
    { name: 'binlog.000004', bytes: 50 },
  ],
};

const at = (file: string, pos: number): { file: string; pos: number } => ({ file, pos });

test('a signal is heard when its transaction was read to the end, whichever server wrote later ones of its domain', () => {
  const heard = (gtids: unknown): boolean => hasRead([{ partition: {}, offset: { file: 'b.1', pos: 4, gtids } }], '1-2-10');
  assert.equal(heard('0-1-99,1-2-10'), true);
  assert.equal(heard('1-3-11'), true);
  assert.equal(heard('0-1-99, 1-2-9'), false);
  assert.equal(heard(undefined), false);
  assert.equal(hasRead([{ partition: {}, offset: null }], '1-2-10'), false);
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
