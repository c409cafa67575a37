-- The denormalised order: one row per order that exists, with what its customer, items and products are now. Columns of a customer
-- that has not arrived (or is gone) are null; an item whose product is not there has sku and name null.
CREATE TABLE order_view (
  order_id bigint PRIMARY KEY,
  status text NOT NULL,
  placed_at timestamptz NOT NULL,
  note text,
  customer_id bigint NOT NULL,
  customer_name text,
  customer_email text,
  customer_tier text,
  -- [{"id", "product_id", "sku", "name", "quantity", "unit_price" (text, every digit)}], by item id
  items jsonb NOT NULL,
  item_count integer NOT NULL,
  total numeric NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE INDEX order_view_customer_id ON order_view (customer_id);
CREATE INDEX order_view_placed_at ON order_view (placed_at);
