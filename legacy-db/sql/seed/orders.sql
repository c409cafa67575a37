INSERT INTO public.orders (id, customer_id, status, note, placed_at, updated_at)
SELECT
  chosen.id,
  customer.id,
  (ARRAY['new', 'paid', 'packed', 'shipped', 'shipped', 'delivered', 'delivered', 'delivered', 'returned'])[1 + pg_temp.pick(seed, chosen.id, 1, 9)],
  CASE WHEN pg_temp.pick(seed, chosen.id, 2, 4) = 0 THEN 'Deliver before ' || (8 + pg_temp.pick(seed, chosen.id, 3, 10)) || ' o''clock' END,
  now(),
  now()
FROM (
  SELECT
    p.seed,
    p.order_base + i AS id,
    pg_temp.pick(p.seed, p.order_base + i, 4, (SELECT count(*) FROM seed_customers)) AS customer
  FROM seed_plan p, generate_series($1::bigint, $2::bigint) AS i
) AS chosen
JOIN seed_customers customer ON customer.n = chosen.customer
ORDER BY chosen.id
