-- One role per duty, each with the least rights. The names come from the session (migrate sets them from pipeline.yaml); run by
-- hand, the defaults hold. An empty name skips that role.
DO $$
DECLARE
  application text := coalesce(current_setting('legacy_db.application', true), 'legacy_app');
  poller text := coalesce(current_setting('legacy_db.poller', true), 'cdc_poller');
  replicator text := coalesce(current_setting('legacy_db.replicator', true), 'cdc_replicator');
  reader text;
BEGIN
  IF application <> '' THEN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), application);
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', application);
    EXECUTE format(
      'GRANT SELECT, INSERT, UPDATE, DELETE ON public.customers, public.products, public.orders, public.order_items TO %I', application);
    EXECUTE format(
      'GRANT USAGE ON SEQUENCE public.customers_id_seq, public.products_id_seq, public.orders_id_seq, public.order_items_id_seq TO %I',
      application);
  END IF;
  FOREACH reader IN ARRAY ARRAY[poller, replicator] LOOP
    CONTINUE WHEN reader = '';
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), reader);
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', reader);
    EXECUTE format('GRANT SELECT ON public.customers, public.products, public.orders, public.order_items TO %I', reader);
  END LOOP;
END
$$;
