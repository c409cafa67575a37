-- What a seeding knows, for its session only. pick() is the source of all chance: a hash of seed, row and field, so that rows can be made
-- set-wise, in any order and in chunks, and still be a function of the seed.
CREATE OR REPLACE FUNCTION pg_temp.pick(seed bigint, id bigint, field integer, choices bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE
  AS $$ SELECT (hashint8extended(id, seed * 64 + field) & 9223372036854775807) % choices $$;

CREATE TEMP TABLE seed_plan (
  seed bigint,
  customers bigint,
  products bigint,
  orders bigint,
  customer_base bigint,
  product_base bigint,
  order_base bigint
);
