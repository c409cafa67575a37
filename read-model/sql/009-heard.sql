-- What has been read of the heartbeats (read-model/freshness/heard.ts): up to which offsets, the latest time that each table was proven to, and how
-- many messages were passed over. Written before `as_of` moves by it, so that a model that starts again judges no heartbeat a second time.
ALTER TABLE freshness ADD COLUMN heard jsonb;
