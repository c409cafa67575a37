-- Drops both tables. The database cdc stays: something else may have been put into it.
DROP TABLE IF EXISTS cdc.heartbeat;
DROP TABLE IF EXISTS cdc.`signal`;
