-- Takes a pin away.
delete from bulkhead.plan_pins
where tenant_id is not distinct from $1 and connection_id is not distinct from $2
    and application_id = $3 and operation = $4
