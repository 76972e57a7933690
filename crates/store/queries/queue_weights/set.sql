-- The weight of a tenant in classes; returns those where it was another.
insert into bulkhead.queue_weights (tenant_id, class, weight)
select $1, class, $3 from unnest($2::text[]) as class
on conflict (tenant_id, class) do update set weight = excluded.weight, changed_at = now()
where queue_weights.weight <> excluded.weight
returning class
