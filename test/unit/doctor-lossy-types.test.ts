import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lossOf } from '#connectors/postgres/facts/lossy-types.ts';
import type { ColumnFacts } from '#connectors/postgres/facts/published-facts.ts';
import { isLossy } from '#test/support/debezium-losses.ts';
import { valuesByName } from '#test/support/random-values.ts';

function column(name: string, isArray: boolean): ColumnFacts {
  const element = { name, kind: 'b', builtIn: true, calledAsBuiltIn: false, extension: null };
  return { name: 'c', isArray, dimensions: isArray ? 1 : 0, element };
}

/** What the real Debezium does with each type, test/integration/value-property.test.ts holds against the table that is asked here. */
test('of every built-in type, scalar and in arrays, the doctor knows whether Debezium loses values of it', () => {
  const wrong: string[] = [];
  for (const name of Object.keys(valuesByName)) {
    // It stops the connector.
    if (name === 'refcursor') continue;
    for (const isArray of [false, true]) {
      const said = lossOf(column(name, isArray));
      if (isLossy(name, isArray) !== (said !== undefined)) wrong.push(`${name}${isArray ? '[]' : ''}: doctor says ${String(said)}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('arrays of more than one dimension lose values whatever they are made of', () => {
  for (const name of Object.keys(valuesByName)) assert.notEqual(lossOf({ ...column(name, true), dimensions: 2 }), undefined, name);
});
