import assert from 'node:assert/strict';
import { test } from 'node:test';
import { positiveNumber, wholeNumber } from '#pipeline/index.ts';

test('a number above 0 is taken, anything else is refused', () => {
  assert.equal(positiveNumber('0.5'), 0.5);
  for (const text of ['0', '-1', 'x', '', 'NaN', 'Infinity']) assert.throws(() => positiveNumber(text), /a number above 0/, text);
});

test('a whole number is taken within its range and as digits only', () => {
  assert.equal(wholeNumber(1, 200)('200'), 200);
  assert.equal(wholeNumber(0)('0'), 0);
  for (const text of ['0', '201', '1.5', '', ' 7', '1e2', '9007199254740993'])
    assert.throws(() => wholeNumber(1, 200)(text), /a whole number from 1 to 200/, text);
  assert.throws(() => wholeNumber(0)('9007199254740993'), /a whole number from 0\./);
});
