#!/usr/bin/env bash
# Runs once, in a new read server: the role that owns the read models, and their database.
set -euo pipefail
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  -v database="$READ_DB_NAME" -v password="$READ_DB_PASSWORD" <<'SQL'
CREATE ROLE read_model LOGIN CREATEDB PASSWORD :'password';
CREATE DATABASE :"database" OWNER read_model;
SQL
