-- What the connector's user needs. Made before, by you: CREATE USER cdc_replicator@'10.0.0.%' IDENTIFIED BY '…'. Set, in the same session:
--   SET @replicator = "cdc_replicator@'10.0.0.%'", @tables = 'shop.customers,shop.orders';
-- Each right with what breaks without it stands in docs/log-based.md. May run again; a table is added by running it with the longer list.
EXECUTE IMMEDIATE CONCAT('GRANT RELOAD, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO ', @replicator);
EXECUTE IMMEDIATE CONCAT('GRANT SELECT, UPDATE (beat_at) ON cdc.heartbeat TO ', @replicator);
EXECUTE IMMEDIATE CONCAT('GRANT INSERT ON cdc.`signal` TO ', @replicator);
DELIMITER //
FOR captured IN (SELECT TRIM(name) AS name FROM JSON_TABLE(CONCAT('["', REPLACE(@tables, ',', '","'), '"]'), '$[*]' COLUMNS (name varchar(130) PATH '$')) listed) DO
  EXECUTE IMMEDIATE CONCAT('GRANT SELECT ON ', captured.name, ' TO ', @replicator);
END FOR//
DELIMITER ;
