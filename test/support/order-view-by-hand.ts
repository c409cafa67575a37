import type { Projection } from '#read-model/views/projection.ts';

const query = `
     SELECT o.id, o.status, o.placed_at, o.note, o.customer_id, c.name, c.email, c.tier,
            coalesce(i.items, '[]'), coalesce(i.item_count, 0), coalesce(i.total, 0), o.updated_at
       FROM orders o
       LEFT JOIN customers c ON c.id = o.customer_id
       LEFT JOIN (
         SELECT item.order_id, count(*)::integer AS item_count, sum(item.quantity * item.unit_price) AS total,
                jsonb_agg(jsonb_build_object('id', item.id, 'product_id', item.product_id, 'sku', p.sku, 'name', p.name,
                                             'quantity', item.quantity, 'unit_price', item.unit_price::text) ORDER BY item.id) AS items
           FROM order_items item
           LEFT JOIN products p ON p.id = item.product_id
          WHERE item.order_id = ANY ($1::bigint[])
          GROUP BY item.order_id
       ) i ON i.order_id = o.id
      WHERE o.id = ANY ($1::bigint[])`;

/** The order view as it was kept before projections were files: what the derived one is compared with. */
export const orderView: Projection = {
  name: 'order_view',
  key: [{ name: 'order_id', type: 'bigint' }],
  reads: ['orders', 'order_items', 'customers', 'products'],
  touchedBy: {
    orders: [{ ownKey: [0] }],
    order_items: [{ sql: 'SELECT order_id FROM order_items WHERE id = ANY ($1::bigint[])', joins: false }],
    customers: [{ sql: 'SELECT id FROM orders WHERE customer_id = ANY ($1::bigint[])', joins: false }],
    products: [{ sql: 'SELECT order_id FROM order_items WHERE product_id = ANY ($1::bigint[])', joins: false }],
  },
  allKeys: 'SELECT order_id FROM order_view UNION SELECT id FROM orders',
  upkeep: [
    // The keys are reported twice: with them only in the outer condition the planner may read all orders to join a few.
    `DELETE FROM order_view v WHERE v.order_id = ANY ($1::bigint[])
        AND NOT EXISTS (SELECT FROM orders o WHERE o.id = v.order_id AND o.id = ANY ($1::bigint[]))`,
    `INSERT INTO order_view (order_id, status, placed_at, note, customer_id, customer_name, customer_email, customer_tier,
                             items, item_count, total, updated_at)
     ${query}
     ON CONFLICT (order_id) DO UPDATE SET
       (status, placed_at, note, customer_id, customer_name, customer_email, customer_tier, items, item_count, total, updated_at) =
       (EXCLUDED.status, EXCLUDED.placed_at, EXCLUDED.note, EXCLUDED.customer_id, EXCLUDED.customer_name, EXCLUDED.customer_email,
        EXCLUDED.customer_tier, EXCLUDED.items, EXCLUDED.item_count, EXCLUDED.total, EXCLUDED.updated_at)
     WHERE order_view *<> EXCLUDED`,
  ],
  upkeepOfMany: [],
  fill: null,
  duplicate: null,
  createTable: [],
};
