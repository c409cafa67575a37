-- When the truncate of truncated_lsn was, in the source's clock: rows that are older and come later are marked with it (deletes: mark).
ALTER TABLE mirrored_tables ADD COLUMN truncated_at timestamptz;
