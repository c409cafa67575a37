-- The ledger of truth: every row change that committed, in the order it was made. For tests and for the comparison only.
-- A rolled-back change leaves nothing, because its ledger row rolls back with it.
CREATE SCHEMA IF NOT EXISTS ledger;

CREATE TABLE IF NOT EXISTS ledger.changes (
  -- Order of the changes, not of the commits: for one row both are the same, as its lock is held until the commit.
  seq bigserial PRIMARY KEY,
  op char(1) NOT NULL CHECK (op IN ('c', 'u', 'd', 't')),
  table_schema text NOT NULL,
  table_name text NOT NULL,
  -- The primary key as {column: value}, of the new row (of the old one for a delete); null for a truncate or a table without a key.
  key jsonb,
  before jsonb,
  after jsonb,
  -- The top transaction, savepoints included; its commit time is pg_xact_commit_timestamp(txid::xid).
  txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
