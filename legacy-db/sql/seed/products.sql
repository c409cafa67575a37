-- Every tenth description is some kilobytes that do not compress, so it is kept out of line (TOAST): an update of the price leaves it
-- untouched, which is where log-based capture has a trap.
INSERT INTO public.products (id, sku, name, description, price, active, updated_at)
SELECT
  id,
  'SKU-' || lpad(id::text, 8, '0'),
  (ARRAY['Anvil', 'Bolt', 'Cable', 'Drill', 'Engine', 'Flange', 'Gasket', 'Hinge', 'Jack', 'Lever'])[1 + pg_temp.pick(seed, id, 1, 10)]
    || ' ' || (ARRAY['S', 'M', 'L', 'XL', '½″', '1″', '40 µm'])[1 + pg_temp.pick(seed, id, 2, 7)],
  CASE WHEN pg_temp.pick(seed, id, 3, 10) = 0
    THEN (SELECT string_agg(md5(seed || ':' || id || ':' || part), ' ' ORDER BY part) FROM generate_series(1, 150) AS part)
    ELSE 'Grade ' || pg_temp.pick(seed, id, 4, 9) || ', weight ' || pg_temp.pick(seed, id, 5, 10000) || ' g'
  END,
  (1 + pg_temp.pick(seed, id, 6, 99999)) / 100.0,
  pg_temp.pick(seed, id, 7, 20) > 0,
  now()
FROM (
  SELECT
    p.seed,
    p.product_base + i AS id
  FROM seed_plan p, generate_series($1::bigint, $2::bigint) AS i
) AS chosen
ORDER BY id
