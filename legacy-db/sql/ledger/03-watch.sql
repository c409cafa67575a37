-- SELECT ledger.watch('public.orders'): puts the triggers on a table, with its primary key's columns as it has them now; run it again
-- after the key changes. ENABLE ALWAYS: session_replication_role = replica must not make the truth incomplete.
CREATE OR REPLACE FUNCTION ledger.watch(watched regclass) RETURNS void
  LANGUAGE plpgsql
AS $$
DECLARE
  key_columns text;
BEGIN
  SELECT coalesce(string_agg(quote_literal(a.attname), ', ' ORDER BY k.position), '') INTO key_columns
    FROM pg_catalog.pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
   WHERE i.indrelid = watched AND i.indisprimary;
  EXECUTE format(
    'CREATE OR REPLACE TRIGGER ledger_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION ledger.capture(%s)',
    watched, key_columns);
  EXECUTE format(
    'CREATE OR REPLACE TRIGGER ledger_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION ledger.capture()', watched);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER ledger_row', watched);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER ledger_truncate', watched);
END
$$;

REVOKE ALL ON FUNCTION ledger.watch(regclass) FROM PUBLIC;
