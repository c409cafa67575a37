-- Takes every right back that the user has, here and elsewhere, and leaves the user.
EXECUTE IMMEDIATE CONCAT('REVOKE ALL PRIVILEGES, GRANT OPTION FROM ', @replicator);
