import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CdcError } from '#pipeline/index.ts';
import { commitBatches } from '#read-model/apply/commit-batches.ts';
import { inTransaction } from '#read-model/database.ts';
import { refillHaltedViews } from '#read-model/rebuild/fill-views.ts';
import type { ProjectionWarning } from '#read-model/views/check-projections.ts';
import { projectionFaults } from '#read-model/views/projection-faults.ts';
import { orderView } from '#test/support/order-view-by-hand.ts';
import {
  customer as customerRow,
  item as itemRow,
  order as orderRow,
  product as productRow,
  remove,
  upsert,
  type Columns,
} from '#test/support/order-events.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import {
  check,
  create,
  createProjectionScene,
  differences,
  type ProjectionScene,
  type TableChange,
} from '#test/support/projection-scene.ts';
import type { QueryTable } from '#test/support/random-queries.ts';
import { eventually } from '#test/support/read-database.ts';

const column = (text: string): { name: string; type: string } => {
  const [name = '', type = 'bigint'] = text.split(':');
  return { name, type };
};
const mirror = (name: string, key: string, ...columns: readonly string[]): QueryTable => ({
  name,
  key: key.split(','),
  columns: columns.map(column),
});

const tables = [
  mirror('customers', 'id', 'id', 'name:text', 'tier:text'),
  mirror('orders', 'id', 'id', 'customer_id', 'status:text', 'placed_at:timestamptz'),
  mirror('items', 'order_id,no', 'order_id', 'no:integer', 'sku:text', 'amount:numeric', 'tags:text'),
  mirror('Odd "Name"', 'the key', 'the key:uuid', 'select:text'),
];

async function open(): Promise<{ direct: DirectModel; scene: ProjectionScene } & AsyncDisposable> {
  const direct = await createDirectModel();
  const scene = await createProjectionScene(direct, tables);
  return { direct, scene, [Symbol.asyncDispose]: () => direct[Symbol.asyncDispose]() };
}

const put = (name: string, row: TableChange['row']): TableChange => ({ table: name, op: 'upsert', row });
const drop = (name: string, row: TableChange['row']): TableChange => ({ table: name, op: 'delete', row });
const customer = (id: number, tier = 'basic'): TableChange => put('customers', { id, name: `c${id}`, tier });
const order = (id: number, customer_id: number | null, status = 'new'): TableChange =>
  put('orders', { id, customer_id, status, placed_at: '2026-01-02T03:04:05.678901Z' });
const item = (order_id: number, no: number, amount: string | null, tags: string | null = null): TableChange =>
  put('items', { order_id, no, sku: `s${no}`, amount, tags });

async function rowsOf({ read }: DirectModel, view: string): Promise<readonly string[]> {
  const rows = await read.query(`SELECT v::text AS row FROM model."${view}" v ORDER BY 1`);
  return rows.map((row) => row['row'] ?? '');
}

/** The problems of a text, each as `line: text`. */
async function problems(direct: DirectModel, text: string, name = 'v'): Promise<readonly string[]> {
  try {
    await check(direct, { [name]: text });
  } catch (error) {
    if (!(error instanceof CdcError)) throw error;
    assert.equal(error.code, 'READ_MODEL_PROJECTION_INVALID');
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.replace(`${name}.sql:`, ''));
  }
  return [];
}

test('whatever cannot be kept is refused with its line and a way out, all of it at once', { timeout: 120_000 }, async () => {
  await using opened = await open();
  const { direct } = opened;
  const cases: readonly (readonly [string, RegExp])[] = [
    ['SELECT id\n FROM FROM orders', /^3: syntax error at or near "FROM"/],
    ['SELECT id,\n nothing FROM orders', /^3: column "nothing" does not exist/],
    ['SELECT id\n FROM nobody', /^3: relation "nobody" does not exist/],
    ['SELECT id FROM\n model.orders', /^3: model.orders: name the mirror without schema/],
    ['SELECT id; SELECT 1', /^2: a projection is one SELECT/],
    ['DELETE FROM orders', /^2: a projection is one SELECT/],
    ['SELECT id, random() AS r FROM orders', /^2: random\(\) is volatile/],
    ['SELECT id, now() - placed_at AS age FROM orders', /^2: now\(\) is another value each time/],
    ['SELECT id, age(placed_at) AS age FROM orders', /^2: age\(\) is another value each time/],
    ['SELECT id FROM orders\n WHERE placed_at > current_date', /^3: current_date is another value each time/],
    [`SELECT id FROM orders\n WHERE placed_at > 'today'::timestamptz`, /^3: 'today' is another time each day/],
    ['SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM items)', /^2: NOT IN \(SELECT …\): use NOT EXISTS/],
    ['SELECT id FROM orders FOR UPDATE', /^2: FOR UPDATE and FOR SHARE/],
    ['SELECT id FROM orders TABLESAMPLE system (50)', /^2: TABLESAMPLE gives other rows each time/],
    ['SELECT id, count(*) AS n FROM orders GROUP BY ROLLUP (id)', /^2: GROUPING SETS, CUBE and ROLLUP/],
    ['WITH RECURSIVE r AS (SELECT id FROM orders UNION SELECT id + 1 FROM r WHERE id < 3) SELECT id FROM r', /^2: WITH RECURSIVE/],
    ['SELECT id, _lsn FROM orders', /^2: _lsn is a column of the read model's own/],
    ['SELECT o.id, to_jsonb(o) AS row FROM orders o', /^2: o as a whole row/],
    ['SELECT customer_id FROM orders', /^1: the query has no column id; it has customer_id/],
    ['SELECT id, status AS a, status AS a FROM orders', /^1: two columns are named a/],
    ['SELECT $1::bigint AS id', /^2: \$1: a projection has no parameters/],
    ['SELECT id FROM orders ORDER BY placed_at LIMIT 3', /^2: it is not certain which keys a change of orders touches: LIMIT/],
    [
      'SELECT c.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id',
      /^2: it is not certain which keys a change of .* outer join.*-- touched by/,
    ],
    [`SELECT to_json(id) AS id FROM orders`, /could not identify an equality operator for type json/],
  ];
  for (const [sql, expected] of cases) assert.match((await problems(direct, `-- key: id\n${sql}`))[0] ?? 'taken', expected, sql);
  assert.match((await problems(direct, 'SELECT id FROM orders'))[0] ?? '', /^1: it has no key/);
  assert.match(
    (await problems(direct, '-- key: id\nSELECT id FROM orders', 'orders'))[0] ?? '',
    /^1: the view would have the name of mirror orders/,
  );
  assert.match((await problems(direct, '-- key: id, 1\nSELECT id FROM orders'))[0] ?? '', /^1: -- key: names columns/);
  const many = await problems(direct, '-- key: id\nSELECT id, random() AS r,\n now() AS n FROM orders');
  assert.equal(many.length, 2);
});

test('touched by says what is not derived: the query is then kept by it', { timeout: 120_000 }, async () => {
  await using opened = await open();
  const { direct, scene } = opened;
  const sql = 'SELECT c.id, c.name, count(*) AS n FROM orders o LEFT JOIN customers c ON c.id = o.customer_id GROUP BY c.id, c.name';
  const head = `-- key: id
-- touched by orders: SELECT customer_id FROM orders
--   WHERE id = ANY ($1)
-- touched by customers: SELECT unnest($1::bigint[])
`;
  const { projections } = await check(direct, { v: `${head}${sql}` });
  await create(direct, projections);
  await scene.apply(projections, [customer(1), order(1, 1), order(2, 1), order(3, 2)]);
  await scene.apply(projections, [customer(2), order(1, 2), drop('orders', { id: 2 })]);
  const [projection] = projections;
  assert.ok(projection);
  assert.deepEqual(await differences(direct, projection, sql), []);
  assert.match(
    (await problems(direct, `-- key: id\n-- touched by items: SELECT 1\n${sql}`))[0] ?? '',
    /^2: the query does not read items; it reads orders, customers/,
  );
  assert.match(
    (await problems(direct, `-- key: id\n-- touched by orders: SELECT nothing FROM orders\n${sql}`))[0] ?? '',
    /^2: -- touched by orders: column "nothing"/,
  );
});

function isOfUniqueness({ text }: ProjectionWarning): boolean {
  return text.includes('unique');
}

const kinds: Readonly<Record<string, string>> = {
  'per order': `-- key: order_id
    SELECT o.id AS order_id, c.name AS customer, sum(i.amount) AS total, jsonb_agg(i.sku ORDER BY i.no) FILTER (WHERE i.no IS NOT NULL) AS skus
      FROM orders o LEFT JOIN customers c ON c.id = o.customer_id LEFT JOIN items i ON i.order_id = o.id GROUP BY o.id, c.name`,
  'every column': '-- key: id\nSELECT * FROM orders NATURAL JOIN (SELECT id, name FROM customers) c',
  'per item': "-- key: order_id, no\nSELECT i.*, o.status FROM items i JOIN orders o ON o.id = i.order_id WHERE o.status <> 'gone'",
  'without items': '-- key: id\nSELECT o.id FROM orders o LEFT JOIN items i ON i.order_id = o.id WHERE i.no IS NULL',
  'by name':
    '-- key: name, tier\nSELECT c.name, c.tier, count(o.id) AS n FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.name, c.tier',
  latest: `-- key: id
    SELECT c.id, l.status FROM customers c LEFT JOIN LATERAL (SELECT o.status FROM orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 1) l ON true`,
  rich: `-- key: id
    WITH sums AS (SELECT o.customer_id, sum(i.amount) AS total FROM orders o JOIN items i ON i.order_id = o.id GROUP BY o.customer_id)
    SELECT c.id, s.total, (SELECT count(*) FROM sums other WHERE other.total > s.total AND other.customer_id = c.id) AS n
      FROM customers c JOIN sums s ON s.customer_id = c.id WHERE s.total > 5`,
  both: '-- key: k\nSELECT k, count(*) AS n FROM (SELECT status AS k FROM orders UNION ALL SELECT tier FROM customers) u GROUP BY k',
  ranked: `-- key: customer_id
    SELECT customer_id, id, placed_at FROM (SELECT o.*, row_number() OVER (PARTITION BY customer_id ORDER BY id DESC) AS place FROM orders o) r WHERE place = 1`,
  tagged: `-- key: order_id, no, tag\nSELECT i.order_id, i.no, t.tag FROM items i, LATERAL (SELECT DISTINCT tag FROM unnest(string_to_array(i.tags, ',')) AS u (tag)) t`,
  odd: `-- key: the key\nSELECT "the key", "select" FROM "Odd ""Name""" WHERE EXISTS (SELECT FROM customers c WHERE c.name = "select")`.replace(
    'the key\n',
    '"the key"\n',
  ),
};

/** What a star does not have: the columns of the read model's own. */
const writtenOut: Readonly<Record<string, string>> = {
  'every column': 'SELECT o.id, o.customer_id, o.status, o.placed_at, c.name FROM orders o JOIN customers c ON c.id = o.id',
  'per item': `SELECT i.order_id, i.no, i.sku, i.amount, i.tags, o.status FROM items i JOIN orders o ON o.id = i.order_id WHERE o.status <> 'gone'`,
};

test('projections of each kind follow inserts, moves, deletes, nulls and truncates', { timeout: 180_000 }, async () => {
  await using opened = await open();
  const { direct, scene } = opened;
  const { projections } = await check(direct, kinds);
  assert.equal(projections.length, Object.keys(kinds).length);
  await create(direct, projections);
  const odd = (last: number, text: string): TableChange =>
    put('Odd "Name"', { 'the key': `00000000-0000-0000-0000-00000000000${last}`, select: text });
  const batches: readonly (readonly TableChange[])[] = [
    [customer(1), order(1, 1), item(1, 1, '2.50', 'a,b'), odd(1, 'c1'), odd(2, 'nobody')],
    [order(2, 2), item(2, 1, '7'), item(3, 1, '1')],
    [customer(2, 'rich'), order(3, null)],
    [order(1, 2), item(1, 2, null, 'b,b,c'), drop('customers', { id: 1 })],
    [item(2, 1, '4'), order(2, 1, 'gone'), customer(1)],
    [drop('items', { order_id: 1, no: 1 }), order(3, 1), item(3, 2, '9.99')],
    [{ table: 'items', op: 'truncate', row: {} }, item(2, 5, '3')],
    [drop('orders', { id: 1 }), put('customers', { id: 2, name: null, tier: null })],
    [{ table: 'customers', op: 'truncate', row: {} }],
  ];
  for (const [index, changes] of batches.entries()) {
    await scene.apply(projections, changes);
    for (const projection of projections) {
      assert.deepEqual(
        await differences(direct, projection, writtenOut[projection.name] ?? kinds[projection.name] ?? ''),
        [],
        `${projection.name}, batch ${index}`,
      );
    }
  }
  assert.deepEqual(await projectionFaults(direct.pool, 'model'), []);
});

test('a view whose key comes twice halts with that key, others go on, and a later start makes it again', { timeout: 120_000 }, async () => {
  await using opened = await open();
  const { direct, scene } = opened;
  const texts = {
    loose: '-- key: status\nSELECT o.status, o.id FROM orders o',
    halves: '-- key: id\nSELECT o.id, 1 / (o.customer_id - 13) AS half FROM orders o',
    sound: '-- key: id\nSELECT o.id, o.status FROM orders o',
  };
  const { projections, warnings } = await check(direct, texts);
  await create(direct, projections);
  assert.deepEqual(warnings.filter(isOfUniqueness).map(({ file, line }) => `${file}:${line}`), ['loose.sql:1']); // prettier-ignore
  await scene.apply(projections, [order(1, 1, 'new'), order(2, 2, 'old')]);
  assert.deepEqual(await rowsOf(direct, 'loose'), ['(new,1)', '(old,2)']);
  await scene.apply(projections, [order(3, 13, 'old'), order(4, 4, 'other')]);
  const faults = async (): Promise<readonly string[]> =>
    (await projectionFaults(direct.pool, 'model')).map((fault) => `${fault.projection} ${fault.code} ${fault.key} ${fault.cause}`);
  assert.deepEqual(await faults(), [
    'halves READ_MODEL_PROJECTION_FAILED null projection halves: division by zero',
    'loose READ_MODEL_PROJECTION_KEY_NOT_UNIQUE status = old projection loose: its query gives the key status = old more than once',
  ]);
  assert.deepEqual(await rowsOf(direct, 'loose'), ['(new,1)', '(old,2)']);
  assert.deepEqual(await rowsOf(direct, 'sound'), ['(1,new)', '(2,old)', '(3,old)', '(4,other)']);
  const again = (): Promise<void> => refillHaltedViews(direct.pool, 'model', projections, () => undefined);
  await again();
  assert.equal((await faults()).length, 2, 'the rows are still wrong');
  await scene.apply(projections, [drop('orders', { id: 3 }), order(5, 5, 'fifth')]);
  assert.deepEqual(await rowsOf(direct, 'loose'), ['(new,1)', '(old,2)']);
  await again();
  assert.deepEqual(await faults(), []);
  assert.deepEqual(await rowsOf(direct, 'loose'), ['(fifth,5)', '(new,1)', '(old,2)', '(other,4)']);
  await scene.apply(projections, [order(5, 5, 'sixth')]);
  assert.deepEqual(await rowsOf(direct, 'loose'), ['(new,1)', '(old,2)', '(other,4)', '(sixth,5)']);
  assert.deepEqual(await rowsOf(direct, 'halves'), ['(1,0)', '(2,0)', '(4,0)', '(5,0)']);
});

/** How many wait for the lock of a view. */
async function untilWaiting({ read }: DirectModel, count: number): Promise<void> {
  const asked = `SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  await eventually(
    () => read.query(asked),
    ([row]) => Number(row?.['n']) === count,
  );
}

test('what is committed while another transaction is under way is found, whichever comes first', { timeout: 120_000 }, async () => {
  // The key comes from a customer that one transaction brings, for an order that the other takes away.
  const sql = 'SELECT c.name, count(*) AS n FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.name';
  for (const isFirst of [true, false]) {
    await using opened = await open();
    const { direct, scene } = opened;
    const { projections } = await check(direct, { v: `-- key: name\n${sql}` });
    await create(direct, projections);
    const [projection] = projections;
    assert.ok(projection);
    await scene.apply(projections, [order(1, 1)]);
    const released = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    // Holds what every writer of the view waits for, until both have begun.
    const holder = inTransaction(direct.pool, 'model', async (client) => {
      await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('read-model model.v', 0))`);
      held.resolve();
      await released.promise;
    });
    await held.promise;
    const changes = [[customer(1)], [drop('orders', { id: 1 })]];
    const first = scene.apply(projections, changes[isFirst ? 0 : 1] ?? []);
    await untilWaiting(direct, 1);
    const second = scene.apply(projections, changes[isFirst ? 1 : 0] ?? []);
    await untilWaiting(direct, 2);
    released.resolve();
    await Promise.all([holder, first, second]);
    assert.deepEqual(await differences(direct, projection, sql), []);
  }
});

const columnsOfToday =
  'order_id bigint, status text, placed_at timestamp with time zone, note text, customer_id bigint, customer_name text, customer_email text, customer_tier text, items jsonb, item_count integer, total numeric, updated_at timestamp with time zone';
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);

/** A change of one of the sample's tables, out of few rows, so that they meet. */
const sampleChange = fc.record({
  table: fc.constantFrom('customers', 'products', 'orders', 'order_items'),
  id: fc.nat(5),
  other: fc.nat(5),
  op: fc.nat(5),
});

function sampleRow(table: string, id: number, other: number): Columns & { readonly id: number } {
  if (table === 'customers') return customerRow(id, `name ${other}`);
  if (table === 'products') return productRow(id, `name ${other}`);
  return table === 'orders' ? orderRow(id, other, `status ${other % 2}`) : itemRow(id, other, (id * other) % 6, other, `${id}.50`);
}

test(
  `the sample’s projection has the columns of the one by hand, and its rows after any changes (seed ${seed})`,
  { timeout: 180_000 },
  async () => {
    await using direct = await createDirectModel();
    const text = await readFile(new URL('../../projections/order_view.sql', import.meta.url), 'utf8');
    const { projections, warnings } = await check(direct, { by_file: text });
    assert.deepEqual(warnings, []);
    await create(direct, projections);
    const [columns] = await direct.read.query(`SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS list FROM pg_attribute WHERE attrelid = 'model.by_file'::regclass AND attnum > 0`); // prettier-ignore
    assert.equal(columns?.['list'], columnsOfToday);
    const offsets = new Map<string, number>();
    for (const table of ['customers', 'products', 'orders', 'order_items']) await direct.place(table);
    const apply = async (changes: readonly { table: string; id: number; other: number; op: number }[]): Promise<void> => {
      const batches = [...Map.groupBy(changes, ({ table }) => table)].map(([table, ofTable]) => {
        const messages = ofTable.flatMap(({ id, other, op }) =>
          op === 0 ? remove(table, id) : upsert(table, sampleRow(table, id, other), 'u'),
        );
        const offset = offsets.get(table) ?? 0;
        offsets.set(table, offset + messages.length);
        return direct.batch(table, offset, messages);
      });
      await commitBatches(direct.pool, { ...direct.model, projections: [orderView, ...projections] }, batches);
      const found = await direct.read.query(
        '(TABLE model.by_file EXCEPT ALL TABLE model.order_view) UNION ALL (TABLE model.order_view EXCEPT ALL TABLE model.by_file)',
      );
      assert.deepEqual(found, []);
    };
    const batch = fc.array(sampleChange, { minLength: 1, maxLength: 8 });
    await fc.assert(fc.asyncProperty(batch, apply), { seed, numRuns: 60, endOnFailure: true });
    const [counted] = await direct.read.query('SELECT count(*) AS n FROM model.by_file WHERE item_count > 0');
    assert.notEqual(counted?.['n'], '0');
    assert.deepEqual(await projectionFaults(direct.pool, 'model'), []);
  },
);
