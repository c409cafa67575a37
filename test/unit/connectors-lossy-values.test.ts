import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseLossless } from '#change-events/index.ts';
import { encoderFor } from '#cdc-poller/postgres/values/value-encoders.ts';
import { mayLose } from '#connectors/postgres/facts/lossy-values.ts';
import type { ColumnFacts } from '#connectors/postgres/facts/published-facts.ts';
import { likeness } from '#test/support/debezium-losses.ts';
import { arrayOf, valuesByName } from '#test/support/random-values.ts';

const columnOf = (name: string, isArray: boolean, element: Partial<ColumnFacts['element']> = {}): ColumnFacts => ({
  name: 'c',
  isArray,
  dimensions: isArray ? 1 : 0,
  element: { name, kind: 'b', builtIn: true, calledAsBuiltIn: false, extension: null, ...element },
});

/** What the real Debezium does to each, test/integration/value-property.test.ts holds against {@link likeness}. */
for (const [name, value] of Object.entries(valuesByName)) {
  for (const isArray of [false, true]) {
    test(`${name}${isArray ? '[]' : ''}: no value that Debezium loses counts as one that it carries, and few the other way round`, () => {
      const column = columnOf(name, isArray);
      const delimiters = isArray && name === 'box' ? { delimiters: [';'] } : {};
      const encode = encoderFor({ name, isArray, modifier: name === 'bit' ? 5 : -1, ...delimiters });
      const texts = isArray ? arrayOf(value, name === 'box' ? ';' : ',', true) : value;
      let [carried, suspected] = [0, 0];
      fc.assert(
        fc.property(texts, (text) => {
          // It stops the connector.
          if (name === 'refcursor') return;
          const lost = (['loaded', 'streamed'] as const).some((phase) => likeness(name, isArray, text, phase) === 'lost');
          const said = mayLose(column, parseLossless(encode(text)));
          assert.ok(!lost || said || (name === 'date' && !isArray && text.includes('infinity')), text);
          if (!lost) carried += 1;
          if (!lost && said) suspected += 1;
        }),
        { numRuns: 300 },
      );
      assert.ok(suspected <= carried * 0.7, `${suspected} of ${carried}`);
    });
  }
}

test('types of one’s own: arrays of domains, enums beside a NULL, and what is called as a built-in type', () => {
  const own = { builtIn: false };
  assert.equal(mayLose(columnOf('mood', false, { ...own, kind: 'e' }), 'x'), false);
  assert.equal(mayLose(columnOf('mood', true, { ...own, kind: 'e' }), ['x']), false);
  assert.equal(mayLose(columnOf('mood', true, { ...own, kind: 'e' }), ['x', null]), true);
  assert.equal(mayLose(columnOf('amount', true, { ...own, kind: 'd' }), ['1']), true);
  assert.equal(mayLose(columnOf('interval', false, { ...own, kind: 'e', calledAsBuiltIn: true }), 'x'), true);
  assert.equal(mayLose(columnOf('uuid', false, { ...own, kind: 'e', calledAsBuiltIn: true }), 'x'), false);
  assert.equal(mayLose(columnOf('citext', true, { ...own, extension: 'citext' }), ['x', null]), false);
  assert.equal(mayLose(columnOf('text', true), [['x']]), true);
  assert.equal(mayLose(columnOf('int2vector', false), null), false);
});
