-- What a service's consumer has beside the engine's own tables.

-- A read model's log of batches.
DROP TABLE apply_log;

-- Whose positions these are: another group must have a schema of its own.
ALTER TABLE model_version ADD COLUMN group_id text;

-- The queue of the partition's last message, when that was a delete: a tombstone of the same key only follows it.
ALTER TABLE applied_offsets ADD COLUMN last_deleted text;

-- A position and the effects of a handler commit together, or not at all: a COMMIT inside the handler fails here, since only the consumer says
-- before its own COMMIT that the transaction is whole. Who moves a position by hand takes the next epoch with it, which fences the consumers.
CREATE FUNCTION only_whole() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF pg_catalog.current_setting('cdc_consumer.whole', true) IS DISTINCT FROM pg_catalog.pg_current_xact_id()::pg_catalog.text THEN
    RAISE EXCEPTION 'the handler must not end the transaction that consume gave it' USING ERRCODE = 'CDC01',
      HINT = 'consume commits when the handler returns. Remove COMMIT from the handler.';
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER only_whole AFTER UPDATE OF next_offset ON applied_offsets DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.next_offset <> NEW.next_offset AND OLD.epoch = NEW.epoch) EXECUTE FUNCTION only_whole();
CREATE CONSTRAINT TRIGGER only_whole AFTER UPDATE OF state ON parked_events DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.state = 'applied' AND OLD.state = 'parked') EXECUTE FUNCTION only_whole();
