-- The last state of rows whose key was changed: what the event of the new key leaves out as unchanged (TOAST) is found here, whichever of
-- the two comes first. Pruned by age. Columns by name, each in its text form.
CREATE TABLE moved_rows (
  mirror_table name NOT NULL,
  key text NOT NULL,
  lsn bigint NOT NULL,
  columns jsonb NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (mirror_table, key, lsn)
);

-- Goes up with every column that the mirror followed its source in: who still writes with the older columns is refused.
ALTER TABLE mirrored_tables ADD COLUMN columns_version integer NOT NULL DEFAULT 0;
