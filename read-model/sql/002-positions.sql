-- How far each partition is applied. Moves in the transaction that applies the rows, and only from the offset and the epoch that the
-- writer knows: who claims a partition takes the next epoch, so whoever held it before can write no more.
CREATE TABLE applied_offsets (
  topic text NOT NULL,
  partition integer NOT NULL,
  next_offset bigint NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic, partition)
);

-- One row per applied batch: when the events of [first_offset, next_offset) became visible. Pruned to the newest batches.
CREATE TABLE apply_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  partition integer NOT NULL,
  first_offset bigint NOT NULL,
  next_offset bigint NOT NULL,
  events integer NOT NULL,
  applied_at timestamptz NOT NULL
);
CREATE INDEX apply_log_place ON apply_log (topic, partition, next_offset);
