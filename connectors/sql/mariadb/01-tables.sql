-- Database cdc with the heartbeat (one row that the connector updates every few seconds, so that its position moves while the captured tables
-- are quiet) and the signal table (a row in it asks for an incremental snapshot). Touches nothing else; may run again.
CREATE DATABASE IF NOT EXISTS cdc CHARACTER SET utf8mb4;
CREATE TABLE IF NOT EXISTS cdc.heartbeat (id int PRIMARY KEY, beat_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6));
INSERT IGNORE INTO cdc.heartbeat (id) VALUES (1);
CREATE TABLE IF NOT EXISTS cdc.`signal` (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text);
