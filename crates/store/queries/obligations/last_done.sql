-- When each tenant's latest sync was done, of those that were owed since day $1.
select tenant_id, max(finished_at) as "finished_at!: jiff_sqlx::Timestamp" from bulkhead.obligations
where day >= $1 and kind = 'sync' and state = 'done'
group by tenant_id
order by tenant_id
