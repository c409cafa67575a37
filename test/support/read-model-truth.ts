import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { readToEnd } from '#kafka/index.ts';
import type { Columns } from './order-events.ts';
import type { ReadDatabase } from './read-database.ts';
import type { ReadModelFixture } from './read-model.ts';

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

/** Fails unless the mirrors hold exactly the rows of `tables`; with `topics`, it says where the events of the rows that differ are. */
export async function assertMirrors(
  read: ReadDatabase,
  schema: string,
  tables: ReadonlyMap<string, ReadonlyMap<number, Columns>>,
  topics?: Pick<ReadModelFixture, 'kafka' | 'topic'>,
): Promise<void> {
  const reported = { customers: 'name', products: 'name', orders: 'status', order_items: 'unit_price' };
  for (const [table, column] of Object.entries(reported)) {
    const rows = await read.query(`SELECT id, ${column} AS reported FROM ${schema}.${table} ORDER BY id`);
    const expected = [...(tables.get(table) ?? [])]
      .toSorted(([a], [b]) => a - b)
      .map(([id, row]) => ({ id: String(id), reported: row[column] }));
    if (isDeepStrictEqual(rows, expected)) continue;
    const ids = new Set([...rows, ...expected].map(({ id }) => id));
    const differing = [...ids].filter((id) => !isDeepStrictEqual(rows.filter(isOf(id)), expected.filter(isOf(id))));
    const where = topics === undefined ? [] : await whereEventsAre(read, schema, topics, table, differing);
    assert.deepEqual(rows, expected, [`${schema}.${table} differs in ${differing.join(', ')}`, ...where].join('\n'));
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

function isOf(id: string | null | undefined): (row: { readonly id?: string | null }) => boolean {
  return (row) => row.id === id;
}

/** The last three events of each key, with the offset up to which their partition is applied. */
async function whereEventsAre(
  read: ReadDatabase,
  schema: string,
  { kafka, topic }: Pick<ReadModelFixture, 'kafka' | 'topic'>,
  table: string,
  ids: readonly (string | null | undefined)[],
): Promise<readonly string[]> {
  const applied = await read.query(`SELECT partition, next_offset, epoch, updated_at FROM ${schema}.applied_offsets WHERE topic = $1`, [
    topic(table),
  ]);
  const events = new Map(ids.map((id) => [`{"id":${id}}`, new Array<string>()]));
  await readToEnd(kafka, topic(table), ({ key, value, offset }, partition) => {
    const at = applied.find((row) => row['partition'] === String(partition));
    const lies = BigInt(at?.['next_offset'] ?? 0) > offset ? 'applied' : 'not applied';
    events
      .get(String(key))
      ?.push(`${String(key)} ${partition}/${offset}: ${lies} (at ${at?.['next_offset']}, epoch ${at?.['epoch']}): ${String(value)}`);
  });
  return [...events.values()].flatMap((lines) => lines.slice(-3));
}
