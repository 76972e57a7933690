-- Owes again the syncs that a pause has withdrawn; token refreshes are owed anew. Index: obligations_of_connection.
update bulkhead.obligations
set state = 'owed', finished_at = null, last_error = null, claimed_until = null
where tenant_id = $1 and connection_id = $2 and kind = 'sync' and state = 'cancelled' and starts_with(last_error, $3)
