-- The service's own tables. Its consumer makes its tables itself, in a schema of its own.
CREATE TABLE IF NOT EXISTS invoices (order_id bigint PRIMARY KEY, customer_id bigint NOT NULL, state text NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (customer_id bigint PRIMARY KEY, invoices integer NOT NULL);
