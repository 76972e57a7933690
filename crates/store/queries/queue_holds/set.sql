-- Holds a tenant (null: every one) in classes; returns those that were running.
insert into bulkhead.queue_holds (tenant_id, class, reason)
select $1, class, $3 from unnest($2::text[]) as class
on conflict (tenant_id, class) do nothing
returning class
