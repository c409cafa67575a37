INSERT INTO public.customers (id, email, name, tier, credit_limit, created_at, updated_at)
SELECT
  id,
  lower(translate(first_name || '.' || last_name, ' ''', '')) || id || '@example.com',
  first_name || ' ' || last_name,
  (ARRAY['standard', 'standard', 'standard', 'silver', 'silver', 'gold'])[1 + pg_temp.pick(seed, id, 3, 6)],
  CASE WHEN pg_temp.pick(seed, id, 4, 5) > 0 THEN pg_temp.pick(seed, id, 5, 5000001) / 100.0 END,
  now(),
  now()
FROM (
  SELECT
    p.seed,
    p.customer_base + i AS id,
    (ARRAY['Ada', 'Boris', 'Chloé', 'Dinesh', 'Ewa', 'Finn', 'Grace', 'Hiroshi', 'Inés', 'Jamal', 'Zoë', '李'])[1 + pg_temp.pick(p.seed, p.customer_base + i, 1, 12)] AS first_name,
    (ARRAY['Novak', 'O''Brien', 'Müller', 'van Dam', 'Smith', 'Garcia', 'Okafor', 'Tanaka', 'Žižek', 'Rossi', 'Lindqvist'])[1 + pg_temp.pick(p.seed, p.customer_base + i, 2, 11)] AS last_name
  FROM seed_plan p, generate_series($1::bigint, $2::bigint) AS i
) AS chosen
ORDER BY id
