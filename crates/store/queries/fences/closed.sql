-- Every scope that is stopped, up to $1.
select scope, id, epoch, changed_at as "changed_at: jiff_sqlx::Timestamp" from bulkhead.fences
where state <> 'open'
order by scope, id
limit $1
