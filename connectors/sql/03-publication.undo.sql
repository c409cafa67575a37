-- A connector that still reads the publication fails at its next change: delete the connector first.
DO $$
DECLARE
  publication text := current_setting('cdc.publication');
BEGIN
  IF EXISTS (SELECT FROM pg_publication WHERE pubname = publication) THEN
    EXECUTE format('DROP PUBLICATION %I', publication);
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('removed publication %s', publication),
      DETAIL = format('DROP PUBLICATION %I', publication);
  END IF;
END
$$;
