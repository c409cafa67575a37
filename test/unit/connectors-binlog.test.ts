import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, parseGrant } from '#connectors/mariadb/grants.ts';
import { hasRead, judgeBinlogLoss, judgeBinlogMove } from '#connectors/mariadb/position.ts';

const binlog = {
  serverId: 1,
  files: [
    { name: 'binlog.000003', bytes: 100 },
    { name: 'binlog.000004', bytes: 50 },
  ],
};

const at = (file: string, pos: number): { file: string; pos: number } => ({ file, pos });

const heard = (gtids: unknown): boolean => hasRead([{ partition: {}, offset: { file: 'b.1', pos: 4, gtids } }], '1-2-10');

test('a signal is heard when its transaction was read to the end, whichever server wrote later ones of its domain', () => {
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

test('moves are reported in bytes, across files; what the binlog does not hold is refused', () => {
  const now = at('binlog.000004', 10);
  assert.deepEqual(judgeBinlogMove(now, at('binlog.000003', 90), binlog), { kind: 'back', repeated: 20n });
  assert.deepEqual(judgeBinlogMove(now, at('binlog.000004', 30), binlog), { kind: 'forward', skipped: 20n });
  assert.deepEqual(judgeBinlogMove(now, now, binlog), { kind: 'none' });
  assert.equal(judgeBinlogMove(now, at('binlog.000001', 4), binlog).kind, 'not-in-log');
  assert.equal(judgeBinlogMove(now, at('binlog.000004', 51), binlog).kind, 'not-in-log');
  assert.equal(judgeBinlogMove(now, undefined, binlog).kind, 'unknown');
  assert.equal(judgeBinlogMove(now, now, null).kind, 'unknown');
});

test('rights are read out of SHOW GRANTS: global ones, of a database (a pattern), of a table; of columns they are others', () => {
  const lines = [
    "GRANT RELOAD, BINLOG MONITOR ON *.* TO `cdc`@`%` IDENTIFIED BY PASSWORD '*0123'",
    'GRANT SELECT ON `shop\\_a`.* TO `cdc`@`%`',
    'GRANT SELECT, INSERT ON `b_`.* TO `cdc`@`%`',
    'GRANT TRIGGER, UPDATE (`a`, `select`) ON `shop`.`orders` TO `cdc`@`%`',
    'GRANT PROXY ON ``@`%` TO `cdc`@`%`',
  ].flatMap((line) => parseGrant(line) ?? []);
  const held = (right: string, schema?: string, table = 'orders'): boolean =>
    holds({ account: 'cdc@%', lines }, right, schema === undefined ? undefined : { schema, table });
  assert.deepEqual([held('RELOAD'), held('BINLOG MONITOR'), held('REPLICATION SLAVE')], [true, true, false]);
  assert.deepEqual([held('SELECT', 'shop_a'), held('SELECT', 'shopXa'), held('SELECT', 'bc'), held('SELECT')], [true, false, true, false]);
  assert.deepEqual([held('TRIGGER', 'shop'), held('TRIGGER', 'shop', 'other'), held('UPDATE', 'shop')], [true, false, false]);
  assert.equal(
    holds({ account: 'root@%', lines: [parseGrant('GRANT ALL PRIVILEGES ON *.* TO `root`@`%`')].flatMap((one) => one ?? []) }, 'RELOAD'),
    true,
  );
});
