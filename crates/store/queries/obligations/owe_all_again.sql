-- Redis was lost: up to $2 rows that were enqueued before $1 are owed again, due as before. Index: obligations_enqueued.
with lost as (
    select tenant_id, id, day
    from bulkhead.obligations
    where state = 'enqueued' and enqueued_at < $1
    order by enqueued_at
    limit $2
    for update skip locked
)
update bulkhead.obligations o
set state = 'owed', enqueued_at = null, claimed_until = null
from lost
where o.tenant_id = lost.tenant_id and o.id = lost.id and o.day = lost.day
