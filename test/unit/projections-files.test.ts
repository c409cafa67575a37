import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readProjections, type ProjectionFile } from '#read-model/views/projection-file.ts';

function read(text: string, file = 'projections/order_view.sql'): ProjectionFile {
  const [one] = readProjections([{ file, text }]);
  assert.ok(one);
  return one;
}

test('the headers of a projection are the comments at its top, and its name is the file’s', () => {
  const file = read(`-- What it is for.
-- KEY: order_id, "Line No"
-- index: placed_at
-- touched by order_items: SELECT order_id FROM order_items
--   WHERE id = ANY ($1)
--
-- a remark
-- touched by "Odd Name": SELECT 1
-- index: a, b

SELECT 1
-- key: not this one`);
  assert.equal(file.name, 'order_view');
  assert.deepEqual(file.key, { word: 'key', mirror: '', text: 'order_id, "Line No"', line: 2 });
  assert.deepEqual(
    file.indexes.map(({ text, line }) => [text, line]),
    [
      ['placed_at', 3],
      ['a, b', 9],
    ],
  );
  assert.deepEqual(
    file.touchedBy.map(({ mirror, text, line }) => [mirror, text, line]),
    [
      ['order_items', 'SELECT order_id FROM order_items\nWHERE id = ANY ($1)', 4],
      ['Odd Name', 'SELECT 1', 8],
    ],
  );
  assert.deepEqual(file.problems, []);
});

function texts(text: string, file?: string): readonly string[] {
  return read(text, file).problems.map((problem) => `${problem.line}: ${problem.text}`);
}

test('a file without a key, with two, or without a name for its view has each of these problems with its line', () => {
  assert.deepEqual(texts('SELECT 1'), ['1: it has no key: begin with a line -- key: column, column']);
  assert.deepEqual(texts('-- key: a\n-- key: b\nSELECT 1'), ['2: it has a second key: name all its columns in one line']);
  assert.deepEqual(texts('-- key: a\nSELECT 1', 'projections/.sql'), ['1: the file’s name is the view’s: 1 to 63 bytes before .sql']);
});
