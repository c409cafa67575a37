-- Which version of its model this schema holds (one row). `projections` is the fingerprint of the projections that its views were made
-- with; `views_filled` is false while a rebuild fills the mirrors alone.
CREATE TABLE model_version (
  version integer NOT NULL,
  projections text NOT NULL,
  views_filled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- With consistency: transaction, how often a source transaction became visible in parts after all, and the last such.
ALTER TABLE model_version ADD COLUMN torn_transactions bigint NOT NULL DEFAULT 0, ADD COLUMN last_torn text;
CREATE UNIQUE INDEX model_version_one ON model_version ((true));
