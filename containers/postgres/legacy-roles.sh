#!/usr/bin/env bash
# Runs once, in a new legacy server: one role per duty, each with the least rights, and the database, as a DBA would make them.
set -euo pipefail
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  -v database="$LEGACY_DB_NAME" -v owner="$LEGACY_DB_OWNER_PASSWORD" -v app="$LEGACY_DB_APP_PASSWORD" \
  -v poller="$LEGACY_DB_POLLER_PASSWORD" -v replicator="$LEGACY_DB_REPLICATOR_PASSWORD" <<'SQL'
CREATE ROLE legacy_owner LOGIN CREATEDB PASSWORD :'owner';
CREATE ROLE legacy_app LOGIN PASSWORD :'app';
CREATE ROLE cdc_poller LOGIN PASSWORD :'poller';
CREATE ROLE cdc_replicator LOGIN REPLICATION PASSWORD :'replicator';
CREATE DATABASE :"database" OWNER legacy_owner;
SQL
