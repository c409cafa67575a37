import assert from 'node:assert/strict';
import { createBinder } from '#read-model/views/derive/bind.ts';
import type { FunctionKind, Problem } from '#read-model/views/derive/binder.ts';
import { derive, type Derived } from '#read-model/views/derive/derive.ts';
import type { ModelTable } from '#read-model/views/derive/query-model.ts';
import { loadGrammar, selectOf } from '#read-model/views/grammar/sql-tree.ts';

function table(name: string, columns: string, key = 'id', indexed: readonly string[] = []): [string, ModelTable] {
  const listed = columns.split(' ').map((column) => {
    const [of = '', type = 'bigint'] = column.split(':');
    return { name: of, type };
  });
  const keys = key.split(' ');
  return [
    name,
    {
      name,
      columns: [...listed, { name: '_lsn', type: 'bigint' }],
      key: keys,
      unique: [keys],
      indexed: new Set([keys[0] ?? '', ...indexed]),
      hidden: new Set(['_lsn']),
    },
  ];
}

const tables = new Map([
  table('customers', 'id name:text tier:text'),
  table('orders', 'id customer_id status:text', 'id', ['customer_id']),
  table('order_items', 'id order_id product_id quantity', 'id', ['order_id']),
  table('products', 'id name:text'),
  table('lines', 'order_id no v', 'order_id no'),
  table('people', 'id parent_id name:text'),
]);
const kinds: Readonly<Record<string, FunctionKind>> = {
  count: 'aggregate',
  sum: 'aggregate',
  max: 'aggregate',
  row_number: 'window',
  generate_series: 'set',
};

/** What is derived of a query over the tables above, without a server. */
export async function derivedOf(
  sql: string,
  ...key: readonly string[]
): Promise<{ readonly derived: Derived; readonly problems: readonly Problem[] }> {
  const grammar = await loadGrammar();
  const select = selectOf(grammar.parse(sql).stmts?.[0]?.stmt);
  assert.ok(select);
  const problems: Problem[] = [];
  const query = createBinder(tables, (name) => kinds[name.at(-1) ?? ''] ?? 'plain', problems).query(select, null);
  const keyIndexes = key.map((name) => query.outputs.findIndex((output) => output.name === name));
  const keyColumns = key.map((name) => ({ name, type: 'bigint' }));
  return { derived: derive({ grammar, query, keyColumns, keyIndexes }), problems };
}

/** Per mirror, each touch in one line: its SQL without casts, or the columns of its own key. */
export function touchesOf({ touchedBy }: Derived): Record<string, readonly string[] | string> {
  return Object.fromEntries(
    Object.entries(touchedBy).map(([mirror, touches]): [string, readonly string[] | string] => [
      mirror,
      'uncertain' in touches
        ? touches.uncertain
        : touches.map((touch) =>
            'ownKey' in touch ? `own ${touch.ownKey.join(' ')}` : touch.sql.replaceAll(/CAST\(([^ ]+) AS [^)]+\)/g, '$1'),
          ),
    ]),
  );
}
