-- Every hold, up to $1: of classes first.
select tenant_id, class, reason, since as "since: jiff_sqlx::Timestamp" from bulkhead.queue_holds
order by tenant_id nulls first, class
limit $1
