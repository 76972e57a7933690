#!/bin/sh
# Starts Redis with a login for each class of the fleet and none besides. Runs in the Redis image; the files of
# deploy/identities say what each may do.
set -eu
users=${USERS_FILE:-/tmp/users.acl}
identities=${IDENTITIES:-/identities}
umask 077
{
  echo "user default off"
  for class in scheduler sync token operator; do
    eval "password=\$BULKHEAD_PASSWORD_$(printf %s "$class" | tr a-z A-Z)"
    hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
    echo "$(cat "$identities/$class/redis.acl") #$hash"
  done
} > "$users"
[ "$(id -u)" != 0 ] || chown redis "$users"
# Everything in it can be rebuilt from Postgres: nothing is written to disk.
exec "${ENTRYPOINT:-docker-entrypoint.sh}" redis-server --save "" --appendonly no --aclfile "$users"
