-- Which source table each mirror copies; the consumer subscribes to their topics. Mirrors themselves are made from the configuration.
-- truncated_lsn: events of the source log before it describe rows that a TRUNCATE has removed since.
CREATE TABLE mirrored_tables (
  mirror_table name PRIMARY KEY,
  source_schema text NOT NULL,
  source_table text NOT NULL,
  truncated_lsn bigint,
  UNIQUE (source_schema, source_table)
);
