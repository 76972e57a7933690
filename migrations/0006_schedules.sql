-- A tenant's nightly schedule of one dataset, for all its connections.
create table bulkhead.schedules (
    tenant_id uuid not null references bulkhead.tenants (id),
    id uuid not null,
    dataset text not null check (dataset <> ''),
    time_zone text not null check (time_zone <> ''),
    -- Local time at which the night begins; its connections are spread over the window.
    starts_at time not null,
    window_ms bigint not null check (window_ms between 0 and 86400000),
    enabled boolean not null default true,
    created_at timestamptz not null default now(),
    -- Nights that begin up to here have their obligations.
    planned_until timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, dataset)
);
create index schedules_to_plan on bulkhead.schedules (planned_until) where enabled;
alter table bulkhead.schedules enable row level security;
alter table bulkhead.schedules force row level security;

create policy operator on bulkhead.schedules to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.schedules to bulkhead_scheduler using (true) with check (true);
grant select, insert, update (time_zone, starts_at, window_ms, enabled, planned_until) on bulkhead.schedules to bulkhead_operator;
grant select, update (planned_until) on bulkhead.schedules to bulkhead_scheduler;
