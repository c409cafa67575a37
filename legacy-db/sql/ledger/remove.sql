-- The triggers depend on ledger.capture() and go with it.
DROP SCHEMA IF EXISTS ledger CASCADE;
