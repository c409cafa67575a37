import assert from 'node:assert/strict';
import { test } from 'node:test';
import { derivedOf, touchesOf } from '#test/support/derived.ts';

async function touches(sql: string, ...key: readonly string[]): Promise<Record<string, readonly string[] | string>> {
  const { derived, problems } = await derivedOf(sql, ...key);
  assert.deepEqual(problems, []);
  return touchesOf(derived);
}

test('a key in the changed row itself is asked of nobody; one in a column beside it of that table alone', async () => {
  assert.deepEqual(
    await touches(
      `SELECT o.id AS k, c.name, i.total FROM orders o LEFT JOIN customers c ON c.id = o.customer_id
         LEFT JOIN (SELECT n.order_id, sum(n.quantity) AS total FROM order_items n LEFT JOIN products p ON p.id = n.product_id GROUP BY n.order_id) i
           ON i.order_id = o.id`,
      'k',
    ),
    {
      orders: ['own 0'],
      customers: ['SELECT DISTINCT t1.id FROM orders AS t1 WHERE t1.customer_id = ANY ($1)'],
      order_items: ['SELECT DISTINCT t3.order_id FROM order_items AS t3 WHERE t3.id = ANY ($1)'],
      products: ['SELECT DISTINCT t3.order_id FROM order_items AS t3 WHERE t3.product_id = ANY ($1)'],
    },
  );
});

test('the columns of a key of several are asked as arrays side by side', async () => {
  assert.deepEqual(await touches('SELECT l.order_id AS k, l.no AS n, o.status FROM lines l JOIN orders o ON o.id = l.order_id', 'k', 'n'), {
    lines: ['own 0 1'],
    orders: ['SELECT DISTINCT t1.order_id, t1.no FROM lines AS t1 WHERE t1.order_id = ANY ($1)'],
  });
  assert.deepEqual(
    await touches('SELECT o.customer_id AS k, sum(l.v) AS v FROM lines l JOIN orders o ON o.id = l.order_id GROUP BY 1', 'k'),
    {
      lines: [
        'SELECT DISTINCT t2.customer_id FROM lines AS t1, orders AS t2 WHERE t1.order_id = t2.id AND (t1.order_id, t1.no) IN (SELECT * FROM unnest($1, $2))',
      ],
      orders: ['SELECT DISTINCT t2.customer_id FROM orders AS t2 WHERE t2.id = ANY ($1)'],
    },
  );
});

test('of an anti join, what is on the side that may be null is joined, and the condition on it is not asked', async () => {
  assert.deepEqual(await touches('SELECT o.id AS k FROM orders o LEFT JOIN order_items i ON i.order_id = o.id WHERE i.id IS NULL', 'k'), {
    orders: ['own 0'],
    order_items: ['SELECT DISTINCT t2.order_id FROM order_items AS t2 WHERE t2.id = ANY ($1)'],
  });
});

test('a chain of outer joins is followed through its conditions: what is not there joins nothing', async () => {
  const sql = `SELECT o.id AS k, max(p.name) AS m FROM orders o LEFT JOIN order_items i ON i.order_id = o.id LEFT JOIN products p ON p.id = i.product_id
    GROUP BY o.id`;
  assert.deepEqual(await touches(sql, 'k'), {
    orders: ['own 0'],
    order_items: ['SELECT DISTINCT t2.order_id FROM order_items AS t2 WHERE t2.id = ANY ($1)'],
    products: ['SELECT DISTINCT t2.order_id FROM order_items AS t2 WHERE t2.product_id = ANY ($1)'],
  });
});

test('a condition of an inner join on the side of another one that may be null is not asked: it was true by the nulls', async () => {
  const sql =
    'SELECT p.id AS k FROM (orders o LEFT JOIN order_items i ON i.order_id = o.id) JOIN products p ON p.id = coalesce(i.product_id, o.customer_id)';
  const { derived } = await derivedOf(sql, 'k');
  assert.deepEqual(derived.touchesAll, ['orders', 'order_items']);
  assert.doesNotMatch(JSON.stringify(derived.touchedBy), /coalesce/i);
});

async function uncertain(sql: string): Promise<readonly string[]> {
  return Object.entries(await touches(sql, 'k'))
    .flatMap(([mirror, one]) => (typeof one === 'string' ? [mirror] : []))
    .toSorted();
}

test('a key of the side that may be null, of an aggregate, or of what is limited is not certain', async () => {
  assert.deepEqual(await uncertain('SELECT c.id AS k FROM orders o LEFT JOIN customers c ON c.id = o.customer_id'), [
    'customers',
    'orders',
  ]);
  assert.deepEqual(await uncertain('SELECT o.id AS k FROM orders o RIGHT JOIN customers c ON c.id = o.customer_id'), [
    'customers',
    'orders',
  ]);
  assert.deepEqual(
    await uncertain('SELECT c.id AS k FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE c.tier = o.status'),
    [],
  );
  assert.deepEqual(await uncertain('SELECT o.id AS k FROM orders o FULL JOIN customers c ON c.id = o.customer_id'), [
    'customers',
    'orders',
  ]);
  assert.deepEqual(await uncertain('SELECT max(o.id) AS k FROM orders o GROUP BY o.customer_id'), ['orders']);
  assert.deepEqual(await uncertain('SELECT o.id AS k FROM orders o ORDER BY o.status LIMIT 3'), ['orders']);
  assert.deepEqual(await uncertain('SELECT d.n AS k FROM (SELECT count(*) AS n FROM orders o GROUP BY o.customer_id) d'), ['orders']);
  assert.deepEqual(await uncertain('SELECT o.id AS k, row_number() OVER (ORDER BY o.id) AS n FROM orders o'), ['orders']);
  assert.deepEqual(await uncertain('SELECT DISTINCT ON (o.customer_id) o.id AS k FROM orders o ORDER BY o.customer_id, o.status'), [
    'orders',
  ]);
});

test('a window, a LIMIT within LATERAL and DISTINCT ON keep the key that keeps their rows apart', async () => {
  const window =
    'SELECT o.customer_id AS k, o.id AS i, row_number() OVER w AS n FROM orders o WINDOW w AS (PARTITION BY o.customer_id ORDER BY o.id)';
  assert.deepEqual(await touches(window, 'k'), { orders: ['SELECT DISTINCT t1.customer_id FROM orders AS t1 WHERE t1.id = ANY ($1)'] });
  const on = 'SELECT DISTINCT ON (o.customer_id) o.customer_id AS k, o.status FROM orders o ORDER BY o.customer_id, o.id';
  assert.deepEqual(await touches(on, 'k'), { orders: ['SELECT DISTINCT t1.customer_id FROM orders AS t1 WHERE t1.id = ANY ($1)'] });
  const lateral = `SELECT c.id AS k, l.status FROM customers c
    LEFT JOIN LATERAL (SELECT o.status FROM orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 1) l ON true`;
  assert.deepEqual(await touches(lateral, 'k'), {
    customers: ['own 0'],
    orders: ['SELECT DISTINCT t2.customer_id FROM orders AS t2 WHERE t2.id = ANY ($1)'],
  });
});

test('each occurrence of a mirror counts', async () => {
  assert.deepEqual(await touches('SELECT p.id AS k, q.name FROM people p LEFT JOIN people q ON q.id = p.parent_id', 'k'), {
    people: ['own 0', 'SELECT DISTINCT t1.id FROM people AS t1 WHERE t1.parent_id = ANY ($1)'],
  });
});

async function where(condition: string): Promise<unknown> {
  return (await touches(`SELECT o.id AS k FROM orders o WHERE ${condition}`, 'k'))['order_items'];
}

test('subqueries touch the rows that ask them, by their condition; IN by its equality; without any, all', async () => {
  const expected = ['SELECT DISTINCT t2.order_id FROM order_items AS t2 WHERE t2.id = ANY ($1)'];
  assert.deepEqual(await where('EXISTS (SELECT FROM order_items i WHERE i.order_id = o.id)'), expected);
  assert.deepEqual(await where('NOT EXISTS (SELECT FROM order_items i WHERE i.order_id = o.id)'), expected);
  assert.deepEqual(await where('o.id IN (SELECT i.order_id FROM order_items i)'), expected);
  assert.deepEqual(await where('o.status = (SELECT max(i.quantity)::text FROM order_items i WHERE i.order_id = o.id)'), expected);
  const { derived } = await derivedOf('SELECT o.id AS k, (SELECT max(i.id) FROM order_items i) AS m FROM orders o', 'k');
  assert.deepEqual(derived.touchesAll, ['order_items']);
});

test('IN that does not filter is asked without its equality: a null makes it neither true nor false', async () => {
  const { derived } = await derivedOf('SELECT o.id AS k, o.id IN (SELECT i.order_id FROM order_items i) AS has FROM orders o', 'k');
  assert.deepEqual(derived.touchesAll, ['order_items']);
});

test('a WITH hides the mirror of its name, for those after it and not for itself', async () => {
  const sql = `WITH orders AS (SELECT o.id, o.customer_id FROM orders o), o2 AS (SELECT * FROM orders)
    SELECT o2.id AS k, c.name FROM o2 JOIN customers c ON c.id = o2.customer_id`;
  assert.deepEqual(await touches(sql, 'k'), {
    orders: ['own 0'],
    customers: [`SELECT DISTINCT t1.id FROM orders AS t1 WHERE t1.customer_id = ANY ($1)`],
  });
});

test('USING and NATURAL join by the columns of the source alone', async () => {
  const { derived } = await derivedOf('SELECT o.id AS k FROM orders o NATURAL JOIN lines l', 'k');
  assert.deepEqual(derived.touchesAll, ['lines'], 'joined by _lsn');
  assert.deepEqual(await touches('SELECT order_id AS k, v FROM order_items JOIN lines USING (order_id)', 'k'), {
    order_items: ['SELECT DISTINCT t1.order_id FROM order_items AS t1 WHERE t1.id = ANY ($1)'],
    lines: ['own 0'],
  });
});

test('UNION ALL touches by the branch that the row is in; EXCEPT and INTERSECT by each', async () => {
  const expected = {
    orders: ['SELECT DISTINCT t1.customer_id FROM orders AS t1 WHERE t1.id = ANY ($1)'],
    people: ['SELECT DISTINCT t2.parent_id FROM people AS t2 WHERE t2.id = ANY ($1)'],
  };
  for (const operation of ['UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT']) {
    const found = await touches(`SELECT o.customer_id AS k FROM orders o ${operation} SELECT p.parent_id FROM people p`, 'k');
    assert.deepEqual(
      JSON.parse(JSON.stringify(found).replaceAll(/t\d+/g, 't')),
      JSON.parse(JSON.stringify(expected).replaceAll(/t\d+/g, 't')),
      operation,
    );
  }
});

async function proven(sql: string, ...key: readonly string[]): Promise<boolean> {
  return (await derivedOf(sql, ...key)).derived.unique;
}

test('a key is proven unique by groups, by unique keys along joins, by LIMIT 1; a join to many is not', async () => {
  assert.equal(await proven('SELECT o.id AS k FROM orders o LEFT JOIN customers c ON c.id = o.customer_id', 'k'), true);
  assert.equal(await proven('SELECT o.id AS k FROM orders o LEFT JOIN order_items i ON i.order_id = o.id', 'k'), false);
  assert.equal(
    await proven('SELECT o.id AS k, count(i.id) FROM orders o LEFT JOIN order_items i ON i.order_id = o.id GROUP BY o.id', 'k'),
    true,
  );
  assert.equal(await proven('SELECT o.id AS k, c.name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id LEFT JOIN order_items i ON i.order_id = o.id GROUP BY o.id, c.name', 'k'), true); // prettier-ignore
  assert.equal(await proven('SELECT o.status AS k, o.id FROM orders o GROUP BY o.status, o.id', 'k'), false);
  assert.equal(await proven('SELECT DISTINCT o.status AS k FROM orders o', 'k'), true);
  assert.equal(await proven('SELECT l.order_id AS k, l.v FROM lines l WHERE l.no = 1', 'k'), true);
  assert.equal(await proven('SELECT o.id AS k FROM orders o UNION ALL SELECT p.id FROM people p', 'k'), false);
  assert.equal(await proven('SELECT o.id AS k FROM orders o UNION SELECT p.id FROM people p', 'k'), true);
  assert.equal(await proven('SELECT c.id AS k FROM customers c LEFT JOIN LATERAL (SELECT o.id FROM orders o WHERE o.customer_id = c.id LIMIT 1) l ON true', 'k'), true); // prettier-ignore
  assert.equal(await proven('SELECT c.id AS k FROM customers c LEFT JOIN orders o ON o.id = c.id AND o.status = c.name', 'k'), true);
  assert.equal(await proven('SELECT c.id AS k, generate_series(1, 2) AS n FROM customers c', 'k'), false);
});

test('a column by which rows are looked for and that no index begins with is named with its index', async () => {
  const sql = `SELECT o.id AS k, sum(i.quantity) AS n, max(p.name) AS m FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
    LEFT JOIN products p ON p.id = i.product_id GROUP BY o.id`;
  const { derived } = await derivedOf(sql, 'k');
  assert.deepEqual(derived.missingIndexes.map((index) => index.sql), ['CREATE INDEX ON order_items (product_id)']); // prettier-ignore
});

async function texts(sql: string): Promise<readonly string[]> {
  return (await derivedOf(sql, 'k')).problems.map(({ at, text }) => `${at} ${text}`);
}

test('what is the read model’s own, another schema, and tables that are no mirror are refused where they stand', async () => {
  assert.match((await texts('SELECT id AS k, _lsn FROM orders'))[0] ?? '', /^16 _lsn is a column of the read model's own/);
  assert.match((await texts('SELECT o.id AS k, to_jsonb(o) FROM orders o'))[0] ?? '', /^27 o as a whole row/);
  assert.match((await texts('SELECT id AS k FROM public.orders'))[0] ?? '', /^20 public.orders: name the mirror without schema/);
  assert.match((await texts('SELECT id AS k FROM nobody'))[0] ?? '', /^20 nobody is no mirror of this model; there are customers/);
  assert.match((await texts('SELECT id AS k FROM orders TABLESAMPLE system (1)'))[0] ?? '', /TABLESAMPLE gives other rows each time/);
  assert.match((await texts('SELECT id AS k FROM orders GROUP BY ROLLUP (id)'))[0] ?? '', /GROUPING SETS, CUBE and ROLLUP/);
  assert.match((await texts('WITH RECURSIVE r AS (SELECT 1 AS id) SELECT id AS k FROM r'))[0] ?? '', /WITH RECURSIVE/);
});
