-- Copies of the source's tables, column for column, without what only the source must enforce: no foreign keys (a child's topic may be
-- ahead of its parent's), no defaults, no length or scale (a mirror takes every digit that the source gives).
-- _lsn is the source log's position of the row's last event; null for events that know none (query-based capture).

CREATE TABLE customers (
  id bigint PRIMARY KEY,
  email text NOT NULL,
  name text NOT NULL,
  tier text NOT NULL,
  credit_limit numeric,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  _lsn bigint
);

CREATE TABLE products (
  id bigint PRIMARY KEY,
  sku text NOT NULL,
  name text NOT NULL,
  description text,
  price numeric NOT NULL,
  active boolean NOT NULL,
  updated_at timestamptz NOT NULL,
  _lsn bigint
);

CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer_id bigint NOT NULL,
  status text NOT NULL,
  note text,
  placed_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  _lsn bigint
);
CREATE INDEX orders_customer_id ON orders (customer_id);

CREATE TABLE order_items (
  id bigint PRIMARY KEY,
  order_id bigint NOT NULL,
  product_id bigint NOT NULL,
  quantity integer NOT NULL,
  unit_price numeric NOT NULL,
  updated_at timestamptz NOT NULL,
  _lsn bigint
);
CREATE INDEX order_items_order_id ON order_items (order_id);
CREATE INDEX order_items_product_id ON order_items (product_id);

-- Which source table each mirror copies; the consumer subscribes to their topics. A further mirror is one table and one row here.
-- truncated_lsn: events of the source log before it describe rows that a TRUNCATE has removed since.
CREATE TABLE mirrored_tables (
  mirror_table name PRIMARY KEY,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  truncated_lsn bigint,
  UNIQUE (source_schema, source_table)
);
INSERT INTO mirrored_tables (mirror_table, source_schema, source_table) VALUES
  ('customers', 'public', 'customers'),
  ('products', 'public', 'products'),
  ('orders', 'public', 'orders'),
  ('order_items', 'public', 'order_items');
