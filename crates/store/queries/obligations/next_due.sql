-- When the next row is due. Index: obligations_due.
select min(due_at) as "due_at: jiff_sqlx::Timestamp" from bulkhead.obligations where state = 'owed'
