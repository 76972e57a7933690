-- The nights of a schedule up to $4 have their obligations; nothing if another scheduler moved it from $3 meanwhile.
update bulkhead.schedules set planned_until = $4
where tenant_id = $1 and id = $2 and planned_until = $3
