-- Every weight that is not 1, up to $1.
select tenant_id, class, weight from bulkhead.queue_weights order by tenant_id, class limit $1
