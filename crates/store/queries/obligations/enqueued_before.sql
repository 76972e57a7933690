-- Up to $2 rows that were enqueued before $1 and have not ended, oldest first. Index: obligations_enqueued.
select
    o.tenant_id, o.id, o.day as "day: jiff_sqlx::Date", o.kind, o.connection_id, o.application_id, o.dataset,
    o.since as "since: jiff_sqlx::Timestamp", o.priority, o.due_at as "due_at: jiff_sqlx::Timestamp", o.deadline as "deadline: jiff_sqlx::Timestamp", o.state,
    o.attempts, o.fencing_token, o.enqueued_at as "enqueued_at: jiff_sqlx::Timestamp", o.last_error,
    o.created_at as "created_at: jiff_sqlx::Timestamp", o.finished_at as "finished_at: jiff_sqlx::Timestamp"
from bulkhead.obligations o
where o.state = 'enqueued' and o.enqueued_at < $1
order by o.enqueued_at
limit $2
