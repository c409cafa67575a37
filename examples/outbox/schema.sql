-- The shop's own database. Run it as the database's owner.
CREATE TABLE orders (
  id uuid PRIMARY KEY,
  customer_id bigint NOT NULL,
  amount numeric(12, 2) NOT NULL,
  state text NOT NULL
);

-- What other services shall hear. The columns are those that Debezium's outbox event router looks for.
CREATE TABLE outbox (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  aggregatetype text NOT NULL,
  aggregateid text NOT NULL,
  type text NOT NULL,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Inserts alone are published: old rows may be deleted when they are not wanted any more.
CREATE PUBLICATION shop_outbox FOR TABLE outbox WITH (publish = 'insert');

-- The connector's role reads the outbox and nothing else.
GRANT USAGE ON SCHEMA public TO cdc_replicator;
GRANT SELECT ON outbox TO cdc_replicator;
