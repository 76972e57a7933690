-- A row by its id alone: one probe per tenant and day.
select
    o.tenant_id, o.id, o.day as "day: jiff_sqlx::Date", o.kind, o.connection_id, o.application_id, o.dataset,
    o.since as "since: jiff_sqlx::Timestamp", o.priority, o.due_at as "due_at: jiff_sqlx::Timestamp", o.deadline as "deadline: jiff_sqlx::Timestamp", o.state,
    o.attempts, o.fencing_token, o.enqueued_at as "enqueued_at: jiff_sqlx::Timestamp", o.last_error,
    o.created_at as "created_at: jiff_sqlx::Timestamp", o.finished_at as "finished_at: jiff_sqlx::Timestamp"
from bulkhead.tenants t
join bulkhead.obligations o on o.tenant_id = t.id and o.id = $1
limit 1
