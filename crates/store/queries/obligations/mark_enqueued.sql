-- Their jobs are in Redis since $4, or were seen there at $4.
update bulkhead.obligations o
set state = 'enqueued', enqueued_at = $4, claimed_until = null
from unnest($1::uuid[], $2::uuid[], $3::date[]) as marked (tenant_id, id, day)
where o.tenant_id = marked.tenant_id and o.id = marked.id and o.day = marked.day and o.day = any($3) and o.state in ('owed', 'enqueued')
