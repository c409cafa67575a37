-- What an operator asks for from outside of the service: a running consumer hands parked changes to its handler, and says what became of them.
CREATE TABLE retry_requests (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- those whose keys are retried; null: all
  event_ids bigint[],
  topic text,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- by a consumer that works on it
  taken_at timestamptz,
  finished_at timestamptz,
  result json
);
CREATE INDEX retry_requests_open ON retry_requests (id) WHERE finished_at IS NULL;
