-- Every cap, up to $1.
select tenant_id, connection_id, scope, class, max_in_flight from bulkhead.queue_caps
order by tenant_id nulls first, connection_id nulls first, scope, class
limit $1
