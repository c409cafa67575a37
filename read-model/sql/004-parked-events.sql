-- Events that could not be applied, and the later events of their keys, which wait behind them. `queue` tells the keys of a partition
-- apart (a hash, since a key may be of any length). A queue is open while one of its events is `parked`: live events of its key join it.
CREATE TABLE parked_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  partition integer NOT NULL,
  event_offset bigint NOT NULL,
  queue text NOT NULL,
  key bytea,
  -- emptied when the event is applied
  value bytea,
  headers json NOT NULL,
  state text NOT NULL DEFAULT 'parked' CHECK (state IN ('parked', 'applied', 'discarded')),
  code text NOT NULL,
  cause text NOT NULL,
  -- the row, as mirror and key, whose leaving this event awaits (a changed key with unchanged TOAST columns)
  awaits text,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamptz,
  UNIQUE (topic, partition, event_offset)
);
CREATE INDEX parked_events_open ON parked_events (topic, partition, queue, event_offset) WHERE state = 'parked';
CREATE INDEX parked_events_awaits ON parked_events (awaits) WHERE state = 'parked' AND awaits IS NOT NULL;

-- Of the batch's events, those that were parked instead of applied.
ALTER TABLE apply_log ADD COLUMN parked integer NOT NULL DEFAULT 0;
