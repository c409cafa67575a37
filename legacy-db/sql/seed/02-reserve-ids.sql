-- Takes the ids that will be used out of the sequences. While the tables are locked no insert is under way, so none can draw an id of ours.
LOCK TABLE public.customers, public.products, public.orders IN SHARE ROW EXCLUSIVE MODE;

UPDATE seed_plan SET
  customer_base = (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM public.customers_id_seq),
  product_base = (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM public.products_id_seq),
  order_base = (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM public.orders_id_seq);

SELECT
  setval('public.customers_id_seq', customer_base + customers + 1, false),
  setval('public.products_id_seq', product_base + products + 1, false),
  setval('public.orders_id_seq', order_base + orders + 1, false)
FROM seed_plan;
