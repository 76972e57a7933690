-- Up to $2 enabled schedules that are planned less far than $1, the furthest behind first. Index: schedules_to_plan.
select
    tenant_id, id, dataset, time_zone, starts_at as "starts_at: jiff_sqlx::Time", window_ms, enabled,
    planned_until as "planned_until: jiff_sqlx::Timestamp"
from bulkhead.schedules
where enabled and planned_until < $1
order by planned_until, tenant_id, id
limit $2
