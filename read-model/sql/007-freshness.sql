-- Up to when the model is complete (one row): everything that was committed in the source before `as_of` (the source's clock, never later
-- than this database's) is in the tables, or parked. Null until capture has said so. It stands still when the source, its capture, Kafka
-- or the read model stop, so `clock_timestamp() - as_of` is how stale an answer may be.
CREATE TABLE freshness (
  as_of timestamptz,
  checked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX freshness_one ON freshness ((true));
INSERT INTO freshness DEFAULT VALUES;
