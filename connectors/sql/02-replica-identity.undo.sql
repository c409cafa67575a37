-- Back to DEFAULT for the tables that the script changed (noted on schema cdc), and for no other.
DO $$
DECLARE
  noted text := obj_description(to_regnamespace('cdc'), 'pg_namespace');
  changed text;
BEGIN
  PERFORM set_config('lock_timeout', '2s', false);
  IF noted IS NULL OR noted NOT LIKE 'Replica identity set to FULL for capture:%' THEN
    RETURN;
  END IF;
  FOREACH changed IN ARRAY string_to_array(substr(noted, length('Replica identity set to FULL for capture:') + 1), ',') LOOP
    CONTINUE WHEN to_regclass(changed) IS NULL;
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', to_regclass(changed));
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('changed replica identity of table %s back to DEFAULT', changed),
      DETAIL = format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', changed);
    COMMIT;
  END LOOP;
  COMMENT ON SCHEMA cdc IS NULL;
END
$$;
