-- Up to $3 events, newest first, of one tenant if $1 is given, since day $2 if given.
select
    day as "day: jiff_sqlx::Date", id, tenant_id, at as "at: jiff_sqlx::Timestamp", actor, recorded_by::text as "recorded_by!", action, resource, details
from bulkhead.audit_events
where ($1::uuid is null or tenant_id = $1) and ($2::date is null or day >= $2)
order by at desc, id
limit $3
