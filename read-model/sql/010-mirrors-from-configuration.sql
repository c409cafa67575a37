-- deletes: remove, or mark (the row stays, with the time in _deleted_at). history: every version of a row is kept in <mirror_table>_history.
-- follows: it gets the columns that its source gets; not where the configuration lists its columns.
-- configured: made from the configuration, and named when it is taken out there; a mirror that was made by hand is left alone.
ALTER TABLE mirrored_tables
  ADD COLUMN deletes text NOT NULL DEFAULT 'remove' CHECK (deletes IN ('remove', 'mark')),
  ADD COLUMN history boolean NOT NULL DEFAULT false,
  ADD COLUMN follows boolean NOT NULL DEFAULT true,
  ADD COLUMN configured boolean NOT NULL DEFAULT false,
  ADD COLUMN made_at timestamptz NOT NULL DEFAULT clock_timestamp();
