-- The signal table: a row in it asks the connector for an incremental snapshot (cdc connectors snapshot). The connector reads the row from
-- the log, so the table is in the publication; and it writes its watermarks there, so its role needs INSERT. No SELECT, UPDATE or DELETE:
-- rows stay as a record of who asked for what, until the owner deletes them.
DO $$
DECLARE
  publication text := current_setting('cdc.publication');
  replicator text := current_setting('cdc.replicator');
BEGIN
  IF to_regclass('cdc.signal') IS NULL THEN
    CREATE TABLE cdc.signal (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text);
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'created table cdc.signal',
      DETAIL = 'CREATE TABLE cdc.signal (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)';
  ELSE
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'present table cdc.signal';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_publication_tables WHERE pubname = publication AND schemaname = 'cdc' AND tablename = 'signal') THEN
    EXECUTE format('ALTER PUBLICATION %I ADD TABLE cdc.signal', publication);
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('changed publication %s: table cdc.signal added', publication),
      DETAIL = format('ALTER PUBLICATION %I ADD TABLE cdc.signal', publication);
  END IF;
  IF has_table_privilege(replicator, 'cdc.signal', 'INSERT') THEN
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('present INSERT on table cdc.signal for %s', replicator);
  ELSE
    EXECUTE format('GRANT INSERT ON cdc.signal TO %I', replicator);
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('granted INSERT on table cdc.signal to %s', replicator),
      DETAIL = format('GRANT INSERT ON cdc.signal TO %I', replicator);
  END IF;
END
$$;
