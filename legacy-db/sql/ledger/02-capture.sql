-- The trigger function. Its arguments are the key columns. SECURITY DEFINER, so that the application needs no right on the ledger;
-- the settings are fixed, so that a row reads the same whatever its session's time zone and styles are.
CREATE OR REPLACE FUNCTION ledger.capture() RETURNS trigger
  LANGUAGE plpgsql
  SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  SET timezone = 'UTC'
  SET intervalstyle = 'postgres'
  SET bytea_output = 'hex'
  SET extra_float_digits = 1
AS $$
DECLARE
  old_row jsonb;
  new_row jsonb;
  row_key jsonb;
BEGIN
  IF TG_OP IN ('UPDATE', 'DELETE') THEN
    old_row := to_jsonb(OLD);
  END IF;
  IF TG_OP IN ('INSERT', 'UPDATE') THEN
    new_row := to_jsonb(NEW);
  END IF;
  IF TG_LEVEL = 'ROW' AND TG_NARGS > 0 THEN
    row_key := '{}';
    FOR i IN 0 .. TG_NARGS - 1 LOOP
      row_key := row_key || jsonb_build_object(TG_ARGV[i], coalesce(new_row, old_row) -> TG_ARGV[i]);
    END LOOP;
  END IF;
  INSERT INTO ledger.changes (op, table_schema, table_name, key, before, after)
  VALUES (
    CASE TG_OP WHEN 'INSERT' THEN 'c' WHEN 'UPDATE' THEN 'u' WHEN 'DELETE' THEN 'd' ELSE 't' END,
    TG_TABLE_SCHEMA, TG_TABLE_NAME, row_key, old_row, new_row);
  RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION ledger.capture() FROM PUBLIC;
