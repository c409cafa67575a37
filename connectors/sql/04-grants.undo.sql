-- Takes SELECT on the captured tables away from the connector's role, whoever granted it; CONNECT, and USAGE on their schemas, stay (others may need
-- them).
DO $$
DECLARE
  replicator text := current_setting('cdc.replicator');
  readable regclass;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = replicator) THEN
    RETURN;
  END IF;
  FOREACH readable IN ARRAY string_to_array(current_setting('cdc.tables'), ',')::regclass[] LOOP
    EXECUTE format('REVOKE SELECT ON %s FROM %I', readable, replicator);
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('removed SELECT on table %s from %s', readable, replicator),
      DETAIL = format('REVOKE SELECT ON %s FROM %I', readable, replicator);
  END LOOP;
  IF to_regclass('cdc.heartbeat') IS NOT NULL THEN
    EXECUTE format('REVOKE ALL ON cdc.heartbeat FROM %I', replicator);
    EXECUTE format('REVOKE USAGE ON SCHEMA cdc FROM %I', replicator);
  END IF;
END
$$;
