import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { canonicalTableName, formatTableName, isTablePattern, matchesTable, parseTableName } from '#pipeline/index.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import { hostileName } from '#test/support/hostile-names.ts';

const name = fc.record({ schema: hostileName(63), table: hostileName(63) }, { noNullPrototype: true });

test('every table has one text, which reads back as it, means itself and nothing else, and is taken by pipeline.yaml as it is', () => {
  fc.assert(
    fc.property(name, name, (one, other) => {
      const text = formatTableName(one);
      assert.deepEqual(parseTableName(text), one);
      assert.equal(canonicalTableName(text), text);
      assert.equal(isTablePattern(text), false);
      assert.equal(pollerTableSchema.parse({ table: text }).table, text);
      assert.equal(matchesTable({ table: text }, text), true);
      const isSame = one.schema === other.schema && one.table === other.table;
      assert.equal(formatTableName(other) === text, isSame);
      assert.equal(matchesTable({ table: text }, formatTableName(other)), isSame);
      assert.equal(matchesTable({ table: '*.*' }, text), true);
      assert.equal(matchesTable({ table: '*.*', exclude: [text] }, text), false);
    }),
  );
});

test('quotes that are not needed are taken, and the table is the same', () => {
  assert.equal(canonicalTableName('"public"."orders"'), 'public.orders');
  assert.equal(pollerTableSchema.parse({ table: '"a""b"."v1.orders"' }).table, 'a"b."v1.orders"');
});

test('what is not two names is refused', () => {
  for (const text of ['orders', 'a.b.c', '.a', 'a.', '"".a', '"a.b', 'a."b"c', '"a.b"'])
    assert.equal(pollerTableSchema.safeParse({ table: text }).success, false, text);
});

test('a question mark in quotes is a letter, outside it matches one, also a dot', () => {
  assert.equal(matchesTable({ table: 'public."a?b"' }, 'public."a?b"'), true);
  assert.equal(matchesTable({ table: 'public."a?b"' }, 'public.axb'), false);
  assert.equal(matchesTable({ table: 'public.a?b' }, 'public."a.b"'), true);
  assert.equal(matchesTable({ table: '"p.q".*' }, '"p.q".orders'), true);
  assert.equal(matchesTable({ table: '"p.q".*' }, 'p."q.orders"'), false);
});
