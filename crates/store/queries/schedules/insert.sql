-- A tenant's nightly schedule of one dataset.
insert into bulkhead.schedules (tenant_id, id, dataset, time_zone, starts_at, window_ms, planned_until)
values ($1, $2, $3, $4, $5, $6, $7)
