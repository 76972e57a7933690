#!/bin/sh
# Writes what sqlx needs to check the queries without a database: .sqlx at the workspace's root.
#
#   crates/store/prepare.sh           write it anew
#   crates/store/prepare.sh --check   fail if what is there differs
#
# Takes the URL of a superuser of any Postgres 15, without parameters, in $BULKHEAD_TEST_POSTGRES
# (`bulkhead-devstack exec -- …` sets it); makes a database there, migrates it, and drops it at the end.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
admin=${BULKHEAD_TEST_POSTGRES:?set it to the URL of a superuser, or run this through: bulkhead-devstack exec -- $0}
database=bulkhead_prepare_$$
written=$(mktemp -d)

cleanup() {
    psql --quiet --no-psqlrc "$admin" --command "drop database if exists $database with (force)" || true
    rm -rf "$written"
}
trap cleanup EXIT

cd "$root"
psql --quiet --no-psqlrc "$admin" --command "create database $database"
url=${admin%/*}/$database
# By psql, not by `bulkhead migrate`: that cannot be built while .sqlx is behind the queries.
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --output /dev/null "$url" --file migrations/roles.sql
{
    echo 'set role bulkhead_owner;'
    echo 'create table bulkhead._sqlx_migrations (version bigint, success boolean);'
    cat migrations/[0-9]*.sql
} | psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --output /dev/null "$url"

# The macros ask the database and write what they learn, but only when they are expanded: touch a file.
touch crates/store/src/lib.rs
# Also where they are told never to ask.
DATABASE_URL=$url SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$written cargo check --quiet --package bulkhead-store

if [ "${1:-}" = --check ]; then
    diff -r .sqlx "$written" || {
        echo "error: .sqlx is not what the migrations and queries say: run crates/store/prepare.sh" >&2
        exit 1
    }
else
    mkdir -p .sqlx
    rm -f .sqlx/query-*.json
    cp "$written"/query-*.json .sqlx/
fi
