-- Schedules, of one tenant if $1 is given, up to $2.
select
    tenant_id, id, dataset, time_zone, starts_at as "starts_at: jiff_sqlx::Time", window_ms, enabled,
    planned_until as "planned_until: jiff_sqlx::Timestamp"
from bulkhead.schedules
where $1::uuid is null or tenant_id = $1
order by tenant_id, dataset
limit $2
