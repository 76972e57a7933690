-- Every pinned plan, up to $1.
select
    tenant_id, connection_id, application_id, operation, rate_per_s, burst, reason,
    pinned_at as "pinned_at: jiff_sqlx::Timestamp"
from bulkhead.plan_pins
order by application_id, connection_id nulls first, operation
limit $1
