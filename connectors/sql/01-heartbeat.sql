-- Schema cdc with the heartbeat table: one row that the connector updates every few seconds. While the captured tables are quiet and
-- other databases of the server write, this is what lets the slot move on and the server remove WAL.
DO $$
BEGIN
  IF to_regnamespace('cdc') IS NULL THEN
    CREATE SCHEMA cdc;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'created schema cdc', DETAIL = 'CREATE SCHEMA cdc';
  ELSE
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'present schema cdc';
  END IF;
  IF to_regclass('cdc.heartbeat') IS NULL THEN
    CREATE TABLE cdc.heartbeat (id int PRIMARY KEY, beat_at timestamptz);
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'created table cdc.heartbeat',
      DETAIL = 'CREATE TABLE cdc.heartbeat (id int PRIMARY KEY, beat_at timestamptz)';
  ELSE
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'present table cdc.heartbeat';
  END IF;
  -- The owner inserts the row, so that the connector's role needs UPDATE of one column and no INSERT.
  INSERT INTO cdc.heartbeat (id, beat_at) VALUES (1, clock_timestamp()) ON CONFLICT (id) DO NOTHING;
END
$$;
