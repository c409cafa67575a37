-- The schema goes only when nothing else was put into it.
DO $$
BEGIN
  IF to_regclass('cdc.heartbeat') IS NOT NULL THEN
    DROP TABLE cdc.heartbeat;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'removed table cdc.heartbeat', DETAIL = 'DROP TABLE cdc.heartbeat';
  END IF;
  IF to_regnamespace('cdc') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('cdc')) THEN
    DROP SCHEMA cdc;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'removed schema cdc', DETAIL = 'DROP SCHEMA cdc';
  END IF;
END
$$;
