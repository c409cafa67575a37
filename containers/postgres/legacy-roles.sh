#!/usr/bin/env bash
# Runs once, in a new legacy server: one role per duty, each with the least rights, and the database, as a DBA would make them.
set -euo pipefail
# From Docker's secret, or from the variable of that name. Not as an argument of psql, which every process may read.
secret() { if [ -r "/run/secrets/$1" ]; then cat "/run/secrets/$1"; else printf '%s' "${!1:?is neither a secret nor a variable}"; fi; }
owner_password=$(secret LEGACY_DB_OWNER_PASSWORD)
app_password=$(secret LEGACY_DB_APP_PASSWORD)
poller_password=$(secret LEGACY_DB_POLLER_PASSWORD)
replicator_password=$(secret LEGACY_DB_REPLICATOR_PASSWORD)
export owner_password app_password poller_password replicator_password
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  -v database="$LEGACY_DB_NAME" <<'SQL'
\getenv owner owner_password
\getenv app app_password
\getenv poller poller_password
\getenv replicator replicator_password
CREATE ROLE legacy_owner LOGIN CREATEDB PASSWORD :'owner';
CREATE ROLE legacy_app LOGIN PASSWORD :'app';
CREATE ROLE cdc_poller LOGIN PASSWORD :'poller';
CREATE ROLE cdc_replicator LOGIN REPLICATION PASSWORD :'replicator';
CREATE DATABASE :"database" OWNER legacy_owner;
SQL
# The order service's, where there is a password for it: its rights come from cdc services roles --apply, when there are tables.
if [ -s /run/secrets/ORDER_SERVICE_DB_PASSWORD ] || [ -n "${ORDER_SERVICE_DB_PASSWORD:-}" ]; then
  orders_password=$(secret ORDER_SERVICE_DB_PASSWORD)
  export orders_password
  psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv password orders_password
CREATE ROLE cdc_orders LOGIN PASSWORD :'password';
SQL
fi
