-- Given up without a worker's word: their jobs lie in the dead letters.
update bulkhead.obligations o
set state = 'dead', finished_at = now(), last_error = left($4, 2000), claimed_until = null
from unnest($1::uuid[], $2::uuid[], $3::date[]) as given_up (tenant_id, id, day)
where o.tenant_id = given_up.tenant_id and o.id = given_up.id and o.day = given_up.day and o.day = any($3)
    and o.state in ('owed', 'enqueued')
