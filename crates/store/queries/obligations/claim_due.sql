-- Claims up to $2 rows that are due at $1, soonest first, until $3, except those of the tenants $4; no row is claimed
-- twice within that time.
-- Index: obligations_due.
with due as (
    select tenant_id, id, day
    from bulkhead.obligations
    where state = 'owed' and due_at <= $1 and (claimed_until is null or claimed_until <= $1)
        and tenant_id <> all($4)
    order by due_at
    limit $2
    for update skip locked
)
update bulkhead.obligations o
set claimed_until = $3
from due
where o.tenant_id = due.tenant_id and o.id = due.id and o.day = due.day
returning
    o.tenant_id, o.id, o.day as "day: jiff_sqlx::Date", o.kind, o.connection_id, o.application_id, o.dataset,
    o.since as "since: jiff_sqlx::Timestamp", o.priority, o.due_at as "due_at: jiff_sqlx::Timestamp", o.deadline as "deadline: jiff_sqlx::Timestamp", o.state,
    o.attempts, o.fencing_token, o.enqueued_at as "enqueued_at: jiff_sqlx::Timestamp", o.last_error,
    o.created_at as "created_at: jiff_sqlx::Timestamp", o.finished_at as "finished_at: jiff_sqlx::Timestamp"
