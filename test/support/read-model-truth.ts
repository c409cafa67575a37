import assert from 'node:assert/strict';
import type { Columns } from './order-events.ts';
import type { ReadDatabase } from './read-database.ts';

/** The order view as one plain query over the mirrors says it should be, written apart from the read model's own SQL. */
const viewQuery = `
  SELECT o.id AS order_id, o.status, c.name AS customer_name, c.email AS customer_email,
         (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) AS item_count,
         (SELECT coalesce(sum(i.quantity * i.unit_price), 0) FROM order_items i WHERE i.order_id = o.id) AS total,
         (SELECT string_agg(concat_ws(':', i.id, i.quantity, i.unit_price, p.sku, p.name), ',' ORDER BY i.id)
            FROM order_items i LEFT JOIN products p ON p.id = i.product_id WHERE i.order_id = o.id) AS items
    FROM orders o LEFT JOIN customers c ON c.id = o.customer_id ORDER BY o.id`;

const storedQuery = `
  SELECT order_id, status, customer_name, customer_email, item_count, total,
         (SELECT string_agg(concat_ws(':', i->>'id', i->>'quantity', i->>'unit_price', i->>'sku', i->>'name'), ',' ORDER BY (i->>'id')::bigint)
            FROM jsonb_array_elements(items) i) AS items
    FROM order_view ORDER BY order_id`;

/** Fails unless the view in `schema` is what its mirrors say. */
export async function assertViewIsTrue(read: ReadDatabase, schema: string): Promise<void> {
  const inSchema = (sql: string): string =>
    sql.replaceAll(/\b(FROM|JOIN) (?=orders|customers|order_items|products|order_view)/g, `$1 ${schema}.`);
  assert.deepEqual(await read.query(inSchema(storedQuery)), await read.query(inSchema(viewQuery)));
}

/** Fails unless the mirrors hold exactly the rows of `tables`. */
export async function assertMirrors(
  read: ReadDatabase,
  schema: string,
  tables: ReadonlyMap<string, ReadonlyMap<number, Columns>>,
): Promise<void> {
  const told = { customers: 'name', products: 'name', orders: 'status', order_items: 'unit_price' };
  for (const [table, column] of Object.entries(told)) {
    const rows = await read.query(`SELECT id, ${column} AS told FROM ${schema}.${table} ORDER BY id`);
    const expected = [...(tables.get(table) ?? [])]
      .toSorted(([a], [b]) => a - b)
      .map(([id, row]) => ({ id: String(id), told: row[column] }));
    assert.deepEqual(rows, expected, table);
  }
}

/** Every message was applied by one batch, no offset by two. `topic` where others are not to be counted. */
export async function assertAppliedOnce(read: ReadDatabase, messages: number, topic: string | null = null): Promise<void> {
  assert.deepEqual(await read.query('SELECT sum(events) AS events FROM model.apply_log WHERE topic = coalesce($1, topic)', [topic]), [
    { events: String(messages) },
  ]);
  const overlaps = await read.query(
    `SELECT a.topic, a.partition, a.first_offset, b.first_offset AS again
       FROM model.apply_log a JOIN model.apply_log b USING (topic, partition)
      WHERE a.id < b.id AND a.first_offset < b.next_offset AND b.first_offset < a.next_offset`,
  );
  assert.deepEqual(overlaps, []);
}
