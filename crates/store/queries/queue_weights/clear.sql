-- The weight of a tenant in classes is 1 again; returns those where it was another.
delete from bulkhead.queue_weights where tenant_id = $1 and class = any($2::text[]) returning class
