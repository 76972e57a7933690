-- Owes a row that is dead or cancelled again, due now, with its attempts counted anew.
update bulkhead.obligations
set state = 'owed', due_at = now(), attempts = 0, finished_at = null, enqueued_at = null, claimed_until = null
where tenant_id = $1 and id = $2 and day = $3 and state in ('dead', 'cancelled')
