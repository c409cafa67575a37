#!/usr/bin/env bash
# The start of the official postgres image, as far as this project uses it: POSTGRES_USER, POSTGRES_PASSWORD or
# POSTGRES_PASSWORD_FILE, POSTGRES_DB, *.sh and *.sql of
# /docker-entrypoint-initdb.d once (on the socket only), then the server with the arguments given.
set -Eeuo pipefail
[ "${1:-}" = postgres ] || [ "${1:0:1}" = - ] || exec "$@"
[ "${1:0:1}" != - ] || set -- postgres "$@"

if [ "$(id -u)" -eq 0 ]; then
  mkdir -p "$PGDATA"
  find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$BASH_SOURCE" "$@"
fi

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE")
  : "${POSTGRES_PASSWORD:?Database is uninitialized and superuser password is not specified}"
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  initdb --pgdata="$PGDATA" --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # Nobody may take it for ready before it is: only the socket while it is set up.
  pg_ctl --pgdata="$PGDATA" -w -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql ${*:2}" start
  export PGHOST=/var/run/postgresql PGPASSWORD=$POSTGRES_PASSWORD
  if [ "$database" != postgres ]; then
    psql -v ON_ERROR_STOP=1 --no-psqlrc --username="$user" --dbname=postgres -v name="$database" <<<'CREATE DATABASE :"name"'
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) echo "running $file"; if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) echo "running $file"; psql -v ON_ERROR_STOP=1 --no-psqlrc --username="$user" --dbname="$database" -f "$file" ;;
    esac
  done
  pg_ctl --pgdata="$PGDATA" -m fast -w stop
  unset PGHOST PGPASSWORD
  echo 'PostgreSQL init process complete; ready for start up.'
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
