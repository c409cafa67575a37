INSERT INTO public.order_items (order_id, product_id, quantity, unit_price, updated_at)
SELECT
  order_id,
  product.id,
  1 + pg_temp.pick(seed, order_id, (24 + position)::integer, 9),
  product.price,
  now()
FROM (
  SELECT
    p.seed,
    p.order_base + i AS order_id,
    position,
    pg_temp.pick(p.seed, p.order_base + i, (44 + position)::integer, (SELECT count(*) FROM seed_products)) AS product
  FROM seed_plan p, generate_series($1::bigint, $2::bigint) AS i,
    generate_series(1, 1 + pg_temp.pick(p.seed, p.order_base + i, 5, 5)) AS position
) AS chosen
JOIN seed_products product ON product.n = chosen.product
ORDER BY order_id, position
