-- Pins a plan; nothing if it is pinned at the same already.
insert into bulkhead.plan_pins (tenant_id, connection_id, application_id, operation, rate_per_s, burst, reason)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant_id, connection_id, application_id, operation) do update
set rate_per_s = excluded.rate_per_s, burst = excluded.burst, reason = excluded.reason, pinned_at = now()
where (plan_pins.rate_per_s, plan_pins.burst) is distinct from (excluded.rate_per_s, excluded.burst)
