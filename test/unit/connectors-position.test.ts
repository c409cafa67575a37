import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeLoss, ofOldPosition, positionOf } from '#connectors/state/loss.ts';
import { judgeMove, parseOffsets, refuseLossyMove } from '#connectors/state/offsets.ts';
import { formatBytes, formatLsn, parseLsn } from '#connectors/postgres/lsn.ts';
import type { SlotState } from '#connectors/postgres/facts/slot-state.ts';

const slot = (changed: Partial<SlotState> = {}): SlotState => ({
  name: 'cdc_slot',
  active: true,
  retainedBytes: 100,
  safeBytes: null,
  walStatus: 'reserved',
  invalidation: null,
  confirmedLsn: '1/64',
  failover: true,
  ...changed,
});
const at = (lsn: bigint): bigint => (1n << 32n) + lsn;

test('log positions are read and written as Postgres writes them, past 32 bits too', () => {
  assert.equal(parseLsn('0/16B3748'), 0x16b3748n);
  assert.equal(parseLsn('A2/FFFFFFFF'), (0xa2n << 32n) + 0xffffffffn);
  assert.equal(formatLsn(parseLsn('A2/1') ?? 0n), 'A2/1');
  assert.equal(parseLsn('16B3748'), undefined);
  assert.equal(formatBytes(1023), '1023 bytes');
  assert.equal(formatBytes(16n * 1024n * 1024n), '16.0 MiB');
});

test('the position of a connector is the largest place in its offsets', () => {
  assert.equal(positionOf([]), undefined);
  assert.equal(positionOf([{ partition: { server: 'log' }, offset: { lsn: 7, lsn_commit: 9, lsn_proc: 8, txId: 99 } }]), 9n);
});

function lost(state: SlotState | null, position?: bigint): string {
  const verdict = judgeLoss('cdc_slot', state, position);
  assert.equal(verdict.kind, 'lost');
  return verdict.text;
}

test('a slot that is there and not past the position has lost nothing', () => {
  assert.deepEqual(judgeLoss('cdc_slot', slot(), at(100n)), { kind: 'none' });
  assert.deepEqual(judgeLoss('cdc_slot', slot(), at(200n)), { kind: 'none' });
  assert.deepEqual(judgeLoss('cdc_slot', slot(), undefined), { kind: 'none' });
  assert.deepEqual(judgeLoss('cdc_slot', null, undefined), { kind: 'unused' });
});

test('a slot that is gone, invalidated, or past the position is a loss that names what is lost', () => {
  assert.match(lost(null, at(1n)), /cdc_slot does not exist any more: the changes after 1\/1 are lost/);
  assert.match(lost(slot({ walStatus: 'lost', confirmedLsn: null }), at(1n)), /invalidated by the server: the changes after 1\/1 are lost/);
  assert.match(lost(slot({ invalidation: 'wal_removed' })), /\(wal_removed\): what it had not delivered/);
  assert.match(lost(slot(), at(99n)), /begins at 1\/64, after the position 1\/63: .*1 bytes of log/);
});

test('while Connect is silent a slot ahead of the last known position is no loss, and one that is gone is', () => {
  assert.equal(ofOldPosition(judgeLoss('cdc_slot', slot(), at(99n))).kind, 'unknown');
  assert.equal(ofOldPosition(judgeLoss('cdc_slot', null, at(99n))).kind, 'lost');
  assert.equal(ofOldPosition(judgeLoss('cdc_slot', slot({ invalidation: 'wal_removed' }), at(99n))).kind, 'lost');
  assert.deepEqual(ofOldPosition(judgeLoss('cdc_slot', slot(), at(200n))), { kind: 'none' });
});

test('a move is judged by what it skips, repeats, or cannot have any more', () => {
  assert.deepEqual(judgeMove(at(200n), at(200n), slot()), { kind: 'none' });
  assert.deepEqual(judgeMove(at(200n), at(150n), slot()), { kind: 'back', repeated: 50n });
  assert.deepEqual(judgeMove(at(200n), at(260n), slot()), { kind: 'forward', skipped: 60n });
  assert.equal(judgeMove(at(200n), at(99n), slot()).kind, 'before-slot');
  assert.deepEqual(judgeMove(at(200n), undefined, slot()), { kind: 'unknown' });
});

test('only a move that loses changes is refused, and not when that is wanted', () => {
  const forward = judgeMove(at(200n), at(260n), slot());
  assert.throws(() => refuseLossyMove('orders', forward, false), { code: 'OFFSETS_REFUSED', message: /60 bytes of log are skipped/ });
  refuseLossyMove('orders', forward, true);
  refuseLossyMove('orders', judgeMove(at(200n), at(150n), slot()), false);
});

test('a text that is no position is refused with its place', () => {
  for (const text of ['', '[]', '{}', '[{"partition":1}]']) {
    assert.throws(() => parseOffsets(text, 'position.json'), { code: 'OFFSETS_REFUSED', message: /^position\.json is no position: / });
  }
});
