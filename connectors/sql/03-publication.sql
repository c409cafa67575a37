-- The publication for the captured tables and the heartbeat table, and for nothing else. A table that is missing in it is added; one
-- that is in it for another connector stays.
DO $$
DECLARE
  publication text := current_setting('cdc.publication');
  wanted regclass[] := string_to_array(current_setting('cdc.tables'), ',')::regclass[] || 'cdc.heartbeat'::regclass;
  everything boolean;
  added regclass;
  statement text;
BEGIN
  SELECT puballtables INTO everything FROM pg_publication WHERE pubname = publication;
  IF everything IS NULL THEN
    SELECT format('CREATE PUBLICATION %I FOR TABLE %s', publication, string_agg(name::text, ', ')) INTO statement FROM unnest(wanted) name;
    EXECUTE statement;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('created publication %s', publication), DETAIL = statement;
    RETURN;
  END IF;
  RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('present publication %s', publication);
  IF everything THEN
    RETURN;
  END IF;
  FOR added IN
    SELECT name FROM unnest(wanted) name
     WHERE NOT EXISTS (SELECT FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid WHERE pubname = publication AND prrelid = name)
  LOOP
    statement := format('ALTER PUBLICATION %I ADD TABLE %s', publication, added);
    EXECUTE statement;
    RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('changed publication %s: table %s added', publication, added), DETAIL = statement;
  END LOOP;
END
$$;
