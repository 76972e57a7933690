-- Up to $6 rows, latest due first; null leaves a filter out.
select
    o.tenant_id, o.id, o.day as "day: jiff_sqlx::Date", o.kind, o.connection_id, o.application_id, o.dataset,
    o.since as "since: jiff_sqlx::Timestamp", o.priority, o.due_at as "due_at: jiff_sqlx::Timestamp", o.deadline as "deadline: jiff_sqlx::Timestamp", o.state,
    o.attempts, o.fencing_token, o.enqueued_at as "enqueued_at: jiff_sqlx::Timestamp", o.last_error,
    o.created_at as "created_at: jiff_sqlx::Timestamp", o.finished_at as "finished_at: jiff_sqlx::Timestamp"
from bulkhead.obligations o
where ($1::uuid is null or o.tenant_id = $1)
    and ($2::uuid is null or o.connection_id = $2)
    and ($3::text is null or o.state = $3)
    and ($4::text is null or o.kind = $4)
    and ($5::date is null or o.day >= $5)
order by o.due_at desc, o.id
limit $6
