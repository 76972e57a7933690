create table bulkhead.tenants (
    id uuid primary key,
    name text not null unique check (name <> ''),
    -- Retention policy: names a file of deploy/policies.
    policy text not null default 'default' check (policy <> ''),
    -- Share of the workers relative to other tenants.
    weight integer not null default 1 check (weight between 1 and 1000),
    created_at timestamptz not null default now()
);
alter table bulkhead.tenants enable row level security;
alter table bulkhead.tenants force row level security;

create policy operator on bulkhead.tenants to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.tenants for select to bulkhead_scheduler using (true);
create policy containment on bulkhead.tenants for select to bulkhead_containment using (true);
grant select, insert, update (name, policy, weight) on bulkhead.tenants to bulkhead_operator;
grant select (id, weight) on bulkhead.tenants to bulkhead_scheduler;
grant select (id, name) on bulkhead.tenants to bulkhead_containment;
