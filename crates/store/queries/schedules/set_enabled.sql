-- Switches a schedule on or off.
update bulkhead.schedules set enabled = $3 where tenant_id = $1 and id = $2
