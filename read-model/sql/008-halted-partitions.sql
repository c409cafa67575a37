-- Partitions that stood, or stand, before an event that their mirror cannot take since the source's table has changed. One is in force
-- while the partition's position is not past the event.
CREATE TABLE halted_partitions (
  topic text NOT NULL,
  partition integer NOT NULL,
  event_offset bigint NOT NULL,
  code text NOT NULL,
  cause text NOT NULL,
  remedy text NOT NULL,
  halted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic, partition)
);

-- `events` of the apply log are those that were applied: parked ones are counted beside them, not among them.
UPDATE apply_log SET events = events - parked;
