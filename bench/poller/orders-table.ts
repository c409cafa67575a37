import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';

/**
 * A database of the order system whose table orders holds `rows` rows, 10 to a millisecond, analysed and vacuumed. One customer has them
 * all: the check of that key is not measured.
 */
export async function createOrders(rows: number): Promise<LegacyDatabase> {
  const database = await createLegacyDatabase({ seed: { customers: 1, products: 1, orders: 0 } });
  const { query } = database;
  await query('ALTER TABLE orders DISABLE TRIGGER USER');
  await query(
    `INSERT INTO orders (customer_id, status, note, placed_at, updated_at)
     SELECT 1, (ARRAY['new', 'paid', 'shipped', 'delivered'])[1 + n % 4], CASE WHEN n % 3 = 0 THEN 'note ' || md5(n::text) END,
            timestamptz '2026-01-01' + n * interval '1 second', timestamptz '2026-01-01' + n * interval '100 microseconds'
       FROM generate_series(1, $1::int) AS n`,
    [rows],
  );
  await query('ALTER TABLE orders ENABLE TRIGGER USER');
  await query('VACUUM ANALYZE orders');
  return database;
}
