#!/usr/bin/env bash
# Runs once, in a new read server: the role that owns the read models, and their database.
set -euo pipefail
# From Docker's secret, or from the variable of that name. Not as an argument of psql, which every process may read.
secret() { if [ -r "/run/secrets/$1" ]; then cat "/run/secrets/$1"; else printf '%s' "${!1:?is neither a secret nor a variable}"; fi; }
password=$(secret READ_DB_PASSWORD)
export password
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  -v database="$READ_DB_NAME" <<'SQL'
\getenv password password
CREATE ROLE read_model LOGIN CREATEDB PASSWORD :'password';
CREATE DATABASE :"database" OWNER read_model;
SQL
# The query API's, where there is a password for it: its rights come from cdc services roles --apply, when there is a model.
if [ -s /run/secrets/QUERY_API_DB_PASSWORD ] || [ -n "${QUERY_API_DB_PASSWORD:-}" ]; then
  query_password=$(secret QUERY_API_DB_PASSWORD)
  export query_password
  psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv password query_password
CREATE ROLE cdc_query_api LOGIN PASSWORD :'password';
SQL
fi
