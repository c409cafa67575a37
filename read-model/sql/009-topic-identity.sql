-- Kafka's id of the topic that next_offset counts in. A topic that was made again under the same name, or at another cluster, has another
-- id, and an offset in it means something else. Null: taken when the partition is claimed next.
ALTER TABLE applied_offsets ADD COLUMN topic_id text;

-- Why the process that applies this model has given it up, until one begins again; null while none has.
ALTER TABLE model_version ADD COLUMN stopped_code text, ADD COLUMN stopped_cause text, ADD COLUMN stopped_remedy text,
  ADD COLUMN stopped_at timestamptz;
