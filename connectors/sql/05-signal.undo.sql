-- The table leaves the publication, and takes its grants with it.
DO $$
BEGIN
  IF to_regclass('cdc.signal') IS NOT NULL THEN
    DROP TABLE cdc.signal;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = 'removed table cdc.signal', DETAIL = 'DROP TABLE cdc.signal';
  END IF;
END
$$;
