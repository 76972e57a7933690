-- The cap of a scope in classes; returns those where it was another or none.
insert into bulkhead.queue_caps (tenant_id, connection_id, scope, class, max_in_flight)
select $1, $2, $3, class, $5 from unnest($4::text[]) as class
on conflict (tenant_id, connection_id, scope, class) do update
set max_in_flight = excluded.max_in_flight, changed_at = now()
where queue_caps.max_in_flight <> excluded.max_in_flight
returning class
