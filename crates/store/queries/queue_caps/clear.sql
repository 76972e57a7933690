-- No cap of a scope in classes any more; returns those where there was one.
delete from bulkhead.queue_caps
where tenant_id is not distinct from $1 and connection_id is not distinct from $2 and scope = $3 and class = any($4::text[])
returning class
