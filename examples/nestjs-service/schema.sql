CREATE TABLE IF NOT EXISTS orders_seen (order_id bigint PRIMARY KEY, customer_id bigint NOT NULL, status text NOT NULL);
CREATE TABLE IF NOT EXISTS customers (customer_id bigint PRIMARY KEY, orders bigint NOT NULL);
