-- REPLICA IDENTITY FULL on the captured tables: the log then holds the whole old row of every UPDATE and DELETE, which is what gives
-- events their before-image and keeps unchanged TOAST columns readable. The price is WAL: roughly the old row's width more for each
-- UPDATE and DELETE. A change to the source, so the comparison counts it.
--
-- The lock is ACCESS EXCLUSIVE but held for an instant: each table is its own transaction (no lock on two tables at once, so no
-- deadlock with the application), and it gives up after 2 s instead of queueing the application behind it.
--
-- A table whose owner chose an index as identity keeps it (its before-images then hold the key only). One with NOTHING is refused: once
-- published, the application's own UPDATE and DELETE on it would fail. What was changed is noted on schema cdc, for the undo.
DO $$
DECLARE
  captured regclass;
  identity "char";
  noted text;
BEGIN
  PERFORM set_config('lock_timeout', '2s', false);
  FOREACH captured IN ARRAY string_to_array(current_setting('cdc.tables'), ',')::regclass[] LOOP
    SELECT relreplident INTO identity FROM pg_class WHERE oid = captured;
    IF identity = 'n' THEN
      RAISE EXCEPTION 'table % has REPLICA IDENTITY NOTHING: published, its UPDATEs and DELETEs would fail in the application', captured
        USING ERRCODE = 'CDC02', HINT = format('As the owner, run: ALTER TABLE %s REPLICA IDENTITY FULL', captured);
    ELSIF identity = 'd' THEN
      EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', captured);
      noted := coalesce(obj_description(to_regnamespace('cdc'), 'pg_namespace') || ',', 'Replica identity set to FULL for capture:');
      EXECUTE format('COMMENT ON SCHEMA cdc IS %L', noted || captured::text);
      RAISE NOTICE USING ERRCODE = 'CDC01', MESSAGE = format('changed replica identity of table %s to FULL', captured),
        DETAIL = format('ALTER TABLE %s REPLICA IDENTITY FULL', captured);
    ELSE
      RAISE NOTICE USING ERRCODE = 'CDC01',
        MESSAGE = format('present replica identity of table %s: %s', captured, CASE identity WHEN 'f' THEN 'FULL' ELSE 'an index' END);
    END IF;
    COMMIT;
  END LOOP;
END
$$;
