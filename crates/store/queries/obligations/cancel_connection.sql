-- Withdraws everything that has not ended of a connection; of kind $4 if that is not null. Index: obligations_of_connection.
update bulkhead.obligations
set state = 'cancelled', finished_at = now(), last_error = left($3, 2000), claimed_until = null
where tenant_id = $1 and connection_id = $2 and state in ('owed', 'enqueued') and ($4::text is null or kind = $4)
