-- What happened, in the transaction in which it happened.
insert into bulkhead.audit_events (tenant_id, actor, action, resource, details) values ($1, $2, $3, $4, $5)
