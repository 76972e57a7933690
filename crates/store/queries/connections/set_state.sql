-- Moves a connection to $3 if it is in one of the states $4.
update bulkhead.connections set state = $3 where tenant_id = $1 and id = $2 and state = any($4)
