import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lostColumns } from '#connectors/postgres/facts/lost-columns.ts';
import { leavesOut } from '#connectors/left-out.ts';
import { misnamedColumns } from '#connectors/postgres/facts/unfit-names.ts';

const reported = (...columns: readonly string[]): readonly (readonly [string, string])[] => [...misnamedColumns(columns)];

test('columns between quotes of one kind, and nothing else, are known to change their names', () => {
  for (const name of ["'x'", '"x"', '`x`', "'a''b'", "'\n'", '"\'"', "'''"]) assert.deepEqual(reported('id', name), [[name, 'lost']]);
  for (const name of ["'", '"', '`', "'x", 'x"', '\'x"', "x''y", 'x""y', " 'x'", ' ', '\t\n'])
    assert.deepEqual(reported('id', name), [], name);
});

test('columns that the connector stops at: with nothing between quotes, and alike but for case and quotes', () => {
  for (const name of ["''", '""', '``']) assert.deepEqual(reported('id', name), [[name, 'stops']]);
  const pairs = [['ID', 'id'], ["'k'", 'K'], ['"k"', '`k`'], ['Ж', 'ж']] as const; // prettier-ignore
  for (const [one, other] of pairs) {
    assert.deepEqual(reported(one, 'v', other), [[one, 'stops'], [other, 'stops']]); // prettier-ignore
  }
});

test('they are among the columns that a connector does not carry, left out of its events or not', () => {
  const text = { name: 'text', kind: 'b', builtIn: true, calledAsBuiltIn: true, extension: null } as const;
  const columns = ["'x'", '""', 'plain'].map((name) => ({ name, isArray: false, dimensions: 0, element: text }));
  const table = { id: { schema: 'public', table: 't' }, columns };
  for (const config of [{}, { 'column.exclude.list': `public.t.'x',public.t.""` }]) {
    assert.deepEqual([lostColumns(table, config, 'lost'), lostColumns(table, config, 'stops')], [["'x'"], ['""']]);
  }
});

test('a column is known to be left out, whatever signs have a backslash before them', () => {
  const id = { schema: 'public', table: 't' };
  const list = String.raw`public\.t\.it\'s,public\.t\.a\-b,public\.t\.[x\-]\,y,public\.t\.\d`;
  const left = leavesOut({ 'column.exclude.list': list });
  for (const column of ["it's", 'a-b', 'x,y', '-,y', '7']) assert.ok(left(id, column), column);
  for (const column of ['its', 'a\\-b', 'w,y', 'd']) assert.ok(!left(id, column), column);
});
