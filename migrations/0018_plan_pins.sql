-- Usage plans that operators have pinned, in Amazon's own units: buckets follow them whatever Amazon's answers say.
-- Redis obeys a copy, which the scheduler writes again after a loss and sets right within seconds if it differs. The
-- command line writes here first.
create table bulkhead.plan_pins (
    -- Null with connection_id: the limit of the application over all its sellers.
    tenant_id uuid,
    connection_id uuid,
    application_id uuid not null references bulkhead.applications (id),
    -- `orders/2026-01-01/searchOrders`
    operation text not null check (operation <> ''),
    rate_per_s double precision not null check (rate_per_s between 0.000001 and 1000000),
    burst integer not null check (burst between 1 and 1000000),
    reason text not null check (reason <> ''),
    pinned_at timestamptz not null default now(),
    unique nulls not distinct (tenant_id, connection_id, application_id, operation),
    foreign key (tenant_id, connection_id) references bulkhead.connections (tenant_id, id),
    check ((tenant_id is null) = (connection_id is null))
);
alter table bulkhead.plan_pins enable row level security;
alter table bulkhead.plan_pins force row level security;

create policy operator on bulkhead.plan_pins to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.plan_pins for select to bulkhead_scheduler using (true);
grant select, insert, update (rate_per_s, burst, reason, pinned_at), delete on bulkhead.plan_pins to bulkhead_operator;
grant select on bulkhead.plan_pins to bulkhead_scheduler;
