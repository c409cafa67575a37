import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { listEntry, readTableList } from '#connectors/postgres/table-list.ts';
import { requireFitTables, unfitTables } from '#connectors/postgres/unfit-tables.ts';
import { hostileName } from '#test/support/hostile-names.ts';

const id = fc.record({ schema: hostileName(63), table: hostileName(63) }, { noNullPrototype: true });

const idsOf = (list: string): readonly (TableId | string)[] => readTableList(list).map((one) => ('problem' in one ? one.problem : one.id));

test('whatever tables are listed, the list reads back as them', () => {
  fc.assert(
    fc.property(fc.array(id, { minLength: 1, maxLength: 5 }), (ids) => {
      assert.deepEqual(idsOf(ids.map(listEntry).join(' , ')), ids);
      // Nothing in an entry that Debezium cuts the list at, or takes away at its ends.
      for (const one of ids) assert.doesNotMatch(listEntry(one), /,|^\s|\s$/);
    }),
  );
});

test('a list as people write it: blanks around, the dot escaped, blanks and quotes as they are', () => {
  assert.deepEqual(idsOf(String.raw` public\.orders , public.Order Items,, public."q"`), [
    { schema: 'public', table: 'orders' },
    { schema: 'public', table: 'Order Items' },
    { schema: 'public', table: '"q"' },
  ]);
  assert.deepEqual(idsOf(String.raw`my\.schema.ta\.b\,le`), [{ schema: 'my.schema', table: 'ta.b,le' }]);
  for (const pattern of ['public.*', String.raw`public.\w`, 'public.a|b', 'public.(a)', 'public.a$', 'public.a\\']) {
    assert.match(JSON.stringify(idsOf(pattern)), /has a pattern/, pattern);
  }
  for (const other of ['orders', 'a.b.c', '.a', 'a.']) assert.match(JSON.stringify(idsOf(other)), /expected schema\.table/, other);
});

const file = (name: string, ...tables: readonly string[]) => ({
  name,
  config: { 'topic.prefix': 'log', 'table.include.list': tables.join(',') },
});

/** Why one table is unfit. */
const details = (table: string, schema = 'a'): string =>
  unfitTables([file('d', listEntry({ schema, table }))])
    .map(({ detail }) => detail)
    .join('\n');

test('tables that would share a topic are reported by name, over all connector files', () => {
  const one = file('one', 'public.x_y', 'public.plain', 'cdc.heartbeat');
  const two = file('two', 'public.x y', String.raw`public.o\.k`, 'public.o_k');
  assert.deepEqual(
    unfitTables([one, two]).map(({ connector, id: table }) => `${connector} ${formatTableId(table)}`),
    ['one public.x_y', 'two public.x y', 'two public."o.k"', 'two public.o_k'],
  );
  assert.deepEqual(unfitTables([one]), []);
  assert.throws(() => requireFitTables([one, two], [two]), {
    code: 'CONNECTOR_CONFIG_INVALID',
    message: /connector two: table public\.x y would share topic log\.public\.x_y with public\.x_y/,
  });
});

test('no table takes the topic of the heartbeat, and names that Debezium takes for quoted ones are reported', () => {
  assert.match(
    unfitTables([file('c', 'cdc.heartbeat', 'cdc_heartbeat.x', 'cdc.heart beat', 'a.b')])
      .map(({ detail }) => detail)
      .join(),
    /^$/,
  );
  assert.match(
    unfitTables([file('c', 'cdc.heartbeat', 'a.b'), file('d', 'x."q"')])[0]?.detail ?? '',
    /takes the name "q" for a quoted one/,
  );
  for (const table of ["x''y", 'x``y', "''", "x'''y"]) assert.match(details(table), /takes the name .* for a quoted one/, table);
  for (const table of ["x'y", 'x`y', 'x""y', 'x"y']) assert.equal(details(table), '', table);
});

test('a name of nothing but blanks and control characters is reported, as schema and as table; other blanks are none', () => {
  for (const blank of [' ', '\n\t\t', '\r', '\f', '\v', '\u0001', '\u001f ']) {
    const listed = `cannot have a topic of its own: Debezium leaves the name ${JSON.stringify(blank)} out of it, which is nothing but blanks and control characters`;
    assert.equal(details(blank), listed);
    assert.equal(details('a', blank), listed);
  }
  assert.equal(details(' ', '\t').split('\n').length, 2);
  assert.equal(details(' ', ' ').split('\n').length, 1);
  for (const fit of ['\u007f', '\u0085', '\u00a0', '\u2003', '\u2028', '\u3000', '\ufeff', '\u00a0\n', ' x', 'x\n', '\t_\t']) {
    assert.equal(details(fit) + details('a', fit), '', JSON.stringify(fit));
  }
});
