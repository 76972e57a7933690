-- Withdraws a row that has not ended.
update bulkhead.obligations
set state = 'cancelled', finished_at = now(), last_error = left($4, 2000), claimed_until = null
where tenant_id = $1 and id = $2 and day = $3 and state in ('owed', 'enqueued')
