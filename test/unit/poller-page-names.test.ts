import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { mariadbHighestIdQuery, mariadbPageQuery } from '#cdc-poller/mariadb/page-query.ts';
import { highestIdQuery, pageQuery } from '#cdc-poller/postgres/page-query.ts';
import type { TableShape } from '#cdc-poller/source/table/table-shape.ts';
import type { Pass } from '#cdc-poller/fence/pass.ts';
import { hostileName } from '#test/support/hostile-names.ts';

/** What a statement is made of, as the server reads it: quoted names, literals, places for values, the rest. */
function readSql(
  sql: string,
  quote: '"' | '`',
): { readonly names: readonly string[]; readonly texts: readonly string[]; readonly places: readonly string[] } {
  const names: string[] = [];
  const texts: string[] = [];
  const places: string[] = [];
  const token = quote === '"' ? /"((?:[^"]|"")*)"|'((?:[^']|'')*)'|(\$\d+|\?)/gu : /`((?:[^`]|``)*)`|'((?:[^'\\]|''|\\.)*)'|(\$\d+|\?)/gu;
  for (const [, name, text, place] of sql.matchAll(token)) {
    if (name !== undefined) names.push(name.replaceAll(quote + quote, quote));
    else if (text !== undefined) texts.push(text);
    else places.push(place ?? '');
  }
  return { names, texts, places };
}

const column = (name: string): TableShape['columns'][number] => ({
  name,
  type: { name: 'text', isArray: false, modifier: -1 },
  sqlType: '?',
  notNull: true,
  readable: true,
});

/** Polled by the first column, then the second. */
const shapeOf = (schema: string, table: string, names: readonly string[], sqlType: string): TableShape => ({
  id: { schema, table },
  query: null,
  capture: 'time',
  hasXmin: true,
  inheritable: false,
  columns: names.map(column),
  published: [],
  key: [1],
  timestamps: [0],
  clock: null,
  order: [0, 1].map((index) => ({ columns: [index], sqlType })),
  basis: { capture: 'time', by: [], order: [], key: [] },
  relation: null,
  sequence: null,
  nextId: null,
  hasWitness: false,
});

const pass: Pass = {
  kind: 'poll',
  horizon: 800n,
  nextHorizon: 900n,
  from: 5n,
  below: 7n,
  cursor: ['2026-01-01T00:00:00Z', String.raw`it's "n0" ? \? $1 ⟦0⟧`],
};

const table = fc.record({
  schema: hostileName(63),
  table: hostileName(63),
  columns: fc.uniqueArray(hostileName(63), { minLength: 2, maxLength: 6 }),
});

test('of whatever name a page is asked, it is in the statement as one quoted name, and every place has its value', () => {
  fc.assert(
    fc.property(table, ({ schema, table: name, columns }) => {
      const { text, values } = pageQuery(shapeOf(schema, name, columns, 'text'), pass, 10);
      const { names, places } = readSql(text, '"');
      for (const one of [schema, name, ...columns]) assert.ok(names.includes(one), `${JSON.stringify(one)} in ${text}`);
      const own = new Set([schema, name, ...columns, 'source']);
      assert.deepEqual(
        names.filter((one) => !own.has(one)),
        [],
      );
      assert.deepEqual(
        places,
        values.map((_, index) => `$${index + 1}`),
      );
      const highest = readSql(highestIdQuery(shapeOf(schema, name, columns, 'text')), '"');
      assert.deepEqual(
        [highest.names.filter((one) => one !== 'source').toSorted(), highest.places],
        [[columns[0] ?? '', schema, name].filter((one) => one !== 'source').toSorted(), []],
      );
    }),
  );
});

test('the same of MariaDB, whose values are in the statement', () => {
  fc.assert(
    fc.property(table, ({ schema, table: name, columns }) => {
      const { text, values } = mariadbPageQuery(shapeOf(schema, name, columns, '?'), pass, 10);
      assert.deepEqual(values, []);
      const { names, texts, places } = readSql(text, '`');
      for (const one of [schema, name, ...columns]) assert.ok(names.includes(one), `${JSON.stringify(one)} in ${text}`);
      const own = new Set([schema, name, ...columns, 'source']);
      assert.deepEqual([names.filter((one) => !own.has(one)), places], [[], []]);
      assert.ok(texts.includes('2026-01-01T00:00:00Z'), text);
      const highest = readSql(mariadbHighestIdQuery(shapeOf(schema, name, columns, '?')), '`');
      assert.deepEqual(
        [highest.names.filter((one) => one !== 'source').toSorted(), highest.places],
        [[columns[0] ?? '', schema, name].filter((one) => one !== 'source').toSorted(), []],
      );
    }),
  );
});

test("rows are ordered by the table's column, also where a page has one of its own of that name", () => {
  const { text } = pageQuery(shapeOf('public', 't', ['seen', 'xmin'], 'text'), pass, 10);
  assert.match(text, /order by "source"\."seen" asc, "source"\."xmin" asc/);
});
