-- The denormalised order: one row per order that exists, with what its customer, items and products are now. Columns of a customer that
-- has not arrived (or is gone) are null; an item whose product is not there has sku and name null.
--
-- key: order_id
-- index: customer_id
-- index: placed_at
SELECT o.id AS order_id, o.status, o.placed_at, o.note, o.customer_id, c.name AS customer_name, c.email AS customer_email, c.tier AS customer_tier,
       -- [{"id", "product_id", "sku", "name", "quantity", "unit_price" (text, every digit)}], by item id
       coalesce(i.items, '[]') AS items, coalesce(i.item_count, 0) AS item_count, coalesce(i.total, 0) AS total, o.updated_at
  FROM orders o
  LEFT JOIN customers c ON c.id = o.customer_id
  LEFT JOIN (
    SELECT item.order_id, count(*)::integer AS item_count, sum(item.quantity * item.unit_price) AS total,
           jsonb_agg(jsonb_build_object('id', item.id, 'product_id', item.product_id, 'sku', p.sku, 'name', p.name,
                                        'quantity', item.quantity, 'unit_price', item.unit_price::text) ORDER BY item.id) AS items
      FROM order_items item
      LEFT JOIN products p ON p.id = item.product_id
     GROUP BY item.order_id
  ) i ON i.order_id = o.id
