-- What the connector's role needs besides LOGIN and REPLICATION: to connect, to read the captured tables (snapshot) and the heartbeat, and
-- to update the heartbeat. test/integration/connectors-grants.test.ts shows for each of them what breaks without it.
DO $$
DECLARE
  replicator text := current_setting('cdc.replicator');
  wanted regclass[] := string_to_array(current_setting('cdc.tables'), ',')::regclass[] || 'cdc.heartbeat'::regclass;
  readable regclass;
  owning text;
  statement text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = replicator) THEN
    RAISE EXCEPTION 'role % does not exist', replicator
      USING ERRCODE = '42704', HINT = format('As a superuser, run: CREATE ROLE %I LOGIN REPLICATION PASSWORD ''...''', replicator);
  END IF;
  IF has_database_privilege(replicator, current_database(), 'CONNECT') THEN
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('present CONNECT on database %s for %s', current_database(), replicator);
  ELSE
    statement := format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), replicator);
    EXECUTE statement;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('granted CONNECT on database %s to %s', current_database(), replicator),
      DETAIL = statement;
  END IF;
  FOR owning IN SELECT DISTINCT nspname FROM unnest(wanted) name JOIN pg_class c ON c.oid = name JOIN pg_namespace n ON n.oid = c.relnamespace
  LOOP
    IF has_schema_privilege(replicator, owning, 'USAGE') THEN
      RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('present USAGE on schema %s for %s', owning, replicator);
    ELSE
      statement := format('GRANT USAGE ON SCHEMA %I TO %I', owning, replicator);
      EXECUTE statement;
      RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('granted USAGE on schema %s to %s', owning, replicator), DETAIL = statement;
    END IF;
  END LOOP;
  FOREACH readable IN ARRAY wanted LOOP
    IF has_table_privilege(replicator, readable, 'SELECT') THEN
      RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('present SELECT on table %s for %s', readable, replicator);
    ELSE
      statement := format('GRANT SELECT ON %s TO %I', readable, replicator);
      EXECUTE statement;
      RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('granted SELECT on table %s to %s', readable, replicator), DETAIL = statement;
    END IF;
  END LOOP;
  IF has_column_privilege(replicator, 'cdc.heartbeat', 'beat_at', 'UPDATE') THEN
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('present UPDATE of cdc.heartbeat.beat_at for %s', replicator);
  ELSE
    statement := format('GRANT UPDATE (beat_at) ON cdc.heartbeat TO %I', replicator);
    EXECUTE statement;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('granted UPDATE of cdc.heartbeat.beat_at to %s', replicator), DETAIL = statement;
  END IF;
END
$$;
