import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ageOfSchema, ownSqlFiles, superseded } from '#read-model/own-sql.ts';

const own = await ownSqlFiles();

test('a schema is as old as the files that were applied to it', () => {
  assert.equal(ageOfSchema(own, own), 'same');
  assert.equal(ageOfSchema(own.toReversed(), own), 'same', 'in any order');
  assert.equal(ageOfSchema([], own), 'older');
  assert.equal(ageOfSchema(own.slice(0, -1), own), 'older', 'the last file is missing');
  assert.equal(ageOfSchema(own.slice(1), own), 'older', 'the first file is missing');
});

test('a file that this program does not have makes the schema newer, also where others are missing', () => {
  assert.equal(ageOfSchema([...own, '999-later.sql'], own), 'newer');
  assert.equal(ageOfSchema([...own.slice(0, 3), '999-later.sql'], own), 'newer');
});

test('names that files had before are those of an older schema', () => {
  const renamed = Object.values(superseded);
  const before = [...own.filter((file) => !renamed.some((name) => name === file)), ...Object.keys(superseded)];
  assert.equal(ageOfSchema(before, own), 'older');
  assert.equal(ageOfSchema([...own, ...Object.keys(superseded)], own), 'same');
});
