-- What the connector's user needs. Made before, by you: CREATE USER cdc_replicator@'10.0.0.%' IDENTIFIED BY '…'. Set, in the same session:
--   SET @replicator = "cdc_replicator@'10.0.0.%'", @tables = 'shop.customers,shop.`Order, items`';
-- Each right with what breaks without it stands in docs/log-based.md. May run again; a table is added by running it with the longer list.
EXECUTE IMMEDIATE CONCAT('GRANT RELOAD, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO ', @replicator);
EXECUTE IMMEDIATE CONCAT('GRANT SELECT, UPDATE (beat_at) ON cdc.heartbeat TO ', @replicator);
EXECUTE IMMEDIATE CONCAT('GRANT INSERT ON cdc.`signal` TO ', @replicator);
DELIMITER //
BEGIN NOT ATOMIC
  DECLARE rest, name text CHARACTER SET utf8mb4;
  SET rest = @tables;
  WHILE rest <> '' DO
    SET name = REGEXP_SUBSTR(rest, '^(?:`[^`]*`|[^`,])+');
    IF name = '' THEN
      SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '@tables: expected schema.table, schema.table …';
    END IF;
    EXECUTE IMMEDIATE CONCAT('GRANT SELECT ON ', TRIM(name), ' TO ', @replicator);
    SET rest = SUBSTR(rest, CHAR_LENGTH(name) + 2);
  END WHILE;
END//
DELIMITER ;
