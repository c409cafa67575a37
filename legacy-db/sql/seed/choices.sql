-- What orders may refer to, numbered from 0, so that a pick finds a row whatever gaps the ids have.
CREATE TEMP TABLE seed_customers AS
  SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM public.customers;
CREATE TEMP TABLE seed_products AS
  SELECT row_number() OVER (ORDER BY id) - 1 AS n, id, price FROM public.products;
ANALYZE seed_customers, seed_products
