import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { visible, visibleLine } from '#pipeline/index.ts';

test('whatever the text: nothing in it is obeyed by a terminal, and nothing else of it is changed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      assert.doesNotMatch(visible(text), /(?![\n\t])\p{Cc}|[\u202a-\u202e\u2066-\u2069]/u);
      assert.doesNotMatch(visibleLine(text), /\p{Cc}/u);
      assert.equal(
        visible(text).replaceAll(/\\u(00[0-9a-f]{2}|20[0-9a-f]{2}|061c)/g, ''),
        text
          .replaceAll(/\\u(00[0-9a-f]{2}|20[0-9a-f]{2}|061c)/g, '')
          .replaceAll(/(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, ''),
      );
    }),
  );
});

test('escape sequences are written out; letters of every script, emoji, lines and tabs of a text stay', () => {
  assert.equal(visible('\u001b]0;title\u0007\u001b[31mred'), String.raw`\u001b]0;title\u0007\u001b[31mred`);
  assert.equal(visible('Заказ 👩‍👩‍👧 é\n\tq'), 'Заказ 👩‍👩‍👧 é\n\tq');
  assert.equal(visibleLine('a\nb\tc\r'), String.raw`a\nb\tc\u000d`);
  assert.equal(JSON.parse(visible(JSON.stringify('\u009b\u202e'))), '\u009b\u202e');
});

test('of all characters those are written out that a terminal obeys, and those that turn text around', () => {
  const ranges = [[0, 8], [11, 0x1f], [0x7f, 0x9f], [0x61c, 0x61c], [0x200e, 0x200f], [0x2028, 0x2029], [0x202a, 0x202e], [0x2066, 0x2069]] as const; // prettier-ignore
  const changed: number[] = [];
  for (let code = 0; code <= 0xffff; code += 1) {
    const character = String.fromCharCode(code);
    if (visible(character) !== character) changed.push(code);
  }
  assert.deepEqual(
    changed,
    ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => from + index)),
  );
});
