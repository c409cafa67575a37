import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { capturesLess } from '#connectors/register/plan.ts';

const tables = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}\.[a-z]{1,3}$/), { minLength: 1, maxLength: 5 });
const list = (names: readonly string[]): string => names.join(', ');

test('whatever is taken out of an include list, or put into an exclude list, is named; whatever else changes is not', () => {
  fc.assert(
    fc.property(tables, tables, (before, after) => {
      const gone = before.filter((name) => !after.includes(name));
      assert.deepEqual(
        capturesLess({ 'table.include.list': list(before), 'poll.interval.ms': '1' }, { 'table.include.list': list(after) }),
        gone.map((name) => `${name} of table.include.list`),
      );
      const added = after.filter((name) => !before.includes(name));
      assert.deepEqual(
        capturesLess({ 'column.exclude.list': list(before) }, { 'column.exclude.list': list(after) }),
        added.map((name) => `${name}, new in column.exclude.list`),
      );
    }),
  );
});

test('no list is everything', () => {
  assert.deepEqual(capturesLess({}, { 'schema.include.list': 'public' }), ['everything outside a new schema.include.list']);
  assert.deepEqual(capturesLess({ 'schema.include.list': 'public' }, {}), []);
});

test('a comma that a backslash precedes belongs to the pattern, as in Debezium', () => {
  const running = { 'table.include.list': String.raw`public.a{1\,2},public.b` };
  assert.deepEqual(capturesLess(running, { 'table.include.list': 'public.b' }), [String.raw`public.a{1\,2} of table.include.list`]);
});
