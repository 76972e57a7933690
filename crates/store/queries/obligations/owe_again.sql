-- Their jobs are not in Redis any more: owed again, due as before.
update bulkhead.obligations o
set state = 'owed', enqueued_at = null, claimed_until = null
from unnest($1::uuid[], $2::uuid[], $3::date[]) as lost (tenant_id, id, day)
where o.tenant_id = lost.tenant_id and o.id = lost.id and o.day = lost.day and o.day = any($3) and o.state = 'enqueued'
