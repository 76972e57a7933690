-- What operators set on the queues. Redis obeys a copy of it, which the scheduler writes again after a loss and sets
-- right within seconds if it differs: no row here, no such setting there. The command line writes here first.

-- A tenant's share of the workers relative to other tenants in a class. No row: 1.
create table bulkhead.queue_weights (
    tenant_id uuid not null references bulkhead.tenants (id),
    class text not null check (class in ('sync', 'token', 'purge', 'containment')),
    weight double precision not null check (weight between 0.01 and 100),
    changed_at timestamptz not null default now(),
    primary key (tenant_id, class)
);
alter table bulkhead.queue_weights enable row level security;
alter table bulkhead.queue_weights force row level security;

create policy operator on bulkhead.queue_weights to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.queue_weights for select to bulkhead_scheduler using (true);
grant select, insert, update (weight, changed_at), delete on bulkhead.queue_weights to bulkhead_operator;
grant select on bulkhead.queue_weights to bulkhead_scheduler;

-- It was one number for all classes, up to 1000, and no queue obeyed it. Row-level security binds the owner as well.
create policy owner on bulkhead.tenants for select to bulkhead_owner using (true);
create policy owner on bulkhead.queue_weights for insert to bulkhead_owner with check (true);
insert into bulkhead.queue_weights (tenant_id, class, weight)
select id, class, least(weight, 100)
from bulkhead.tenants cross join unnest(array['sync', 'token']) as class
where weight <> 1;
drop policy owner on bulkhead.queue_weights;
drop policy owner on bulkhead.tenants;
alter table bulkhead.tenants drop column weight;

-- Whose queued jobs stay where they are, and new ones join them. What runs goes on, and nothing is withdrawn: a
-- connection's pause is another matter (bulkhead.connections.state).
create table bulkhead.queue_holds (
    -- Null: every tenant's, that is the whole class.
    tenant_id uuid references bulkhead.tenants (id),
    class text not null check (class in ('sync', 'token', 'purge', 'containment')),
    reason text not null check (reason <> ''),
    since timestamptz not null default now(),
    unique nulls not distinct (tenant_id, class)
);
alter table bulkhead.queue_holds enable row level security;
alter table bulkhead.queue_holds force row level security;

create policy operator on bulkhead.queue_holds to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.queue_holds for select to bulkhead_scheduler using (true);
grant select, insert, delete on bulkhead.queue_holds to bulkhead_operator;
grant select on bulkhead.queue_holds to bulkhead_scheduler;

-- How many jobs of a class may be in flight at once, of one connection or tenant, or of each that has no cap of its own.
create table bulkhead.queue_caps (
    tenant_id uuid references bulkhead.tenants (id),
    connection_id uuid,
    scope text not null check (scope in ('every_connection', 'every_tenant', 'connection', 'tenant')),
    class text not null check (class in ('sync', 'token', 'purge', 'containment')),
    max_in_flight integer not null check (max_in_flight > 0),
    changed_at timestamptz not null default now(),
    unique nulls not distinct (tenant_id, connection_id, scope, class),
    foreign key (tenant_id, connection_id) references bulkhead.connections (tenant_id, id),
    check ((tenant_id is not null) = (scope in ('connection', 'tenant'))),
    check ((connection_id is not null) = (scope = 'connection'))
);
alter table bulkhead.queue_caps enable row level security;
alter table bulkhead.queue_caps force row level security;

create policy operator on bulkhead.queue_caps to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.queue_caps for select to bulkhead_scheduler using (true);
grant select, insert, update (max_in_flight, changed_at), delete on bulkhead.queue_caps to bulkhead_operator;
grant select on bulkhead.queue_caps to bulkhead_scheduler;
