#!/bin/sh
# Gives each login of the fleet its password, after `bulkhead migrate` has made the logins. Runs in the Postgres image.
set -eu
for login in scheduler sync token operator; do
  eval "password=\$BULKHEAD_PASSWORD_$(printf %s "$login" | tr a-z A-Z)"
  psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set login="bulkhead_$login" --set password="$password" <<'SQL'
alter role :"login" password :'password';
SQL
done
echo "passwords set"
