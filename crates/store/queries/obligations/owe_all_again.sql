-- Redis was lost: up to $2 rows that were enqueued before $1 are owed again, due as before. Index: obligations_enqueued.
-- Waits for workers that are in their transaction: a row that was skipped would have lost its job, and nobody knew.
with lost as (
    select tenant_id, id, day
    from bulkhead.obligations
    where state = 'enqueued' and enqueued_at < $1
    order by enqueued_at
    limit $2
    for update
)
update bulkhead.obligations o
set state = 'owed', enqueued_at = null, claimed_until = null
from lost
where o.tenant_id = lost.tenant_id and o.id = lost.id and o.day = lost.day
