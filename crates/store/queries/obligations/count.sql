-- Counts since day $1 by tenant, kind and state, with the earliest due time of each.
select
    o.tenant_id, o.kind, o.state, count(*) as "count!", min(o.due_at) as "earliest_due: jiff_sqlx::Timestamp",
    coalesce(sum(greatest(o.attempts - 1, 0)), 0)::bigint as "retries!"
from bulkhead.obligations o
where o.day >= $1
group by o.tenant_id, o.kind, o.state
order by o.tenant_id, o.kind, o.state
