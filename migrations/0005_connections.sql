-- One seller's authorization of a tenant in one region.
create table bulkhead.connections (
    tenant_id uuid not null references bulkhead.tenants (id),
    id uuid not null,
    application_id uuid not null references bulkhead.applications (id),
    name text not null check (name <> ''),
    region text not null check (region in ('na', 'eu', 'fe')),
    seller_id text not null check (seller_id <> ''),
    marketplace_ids text[] not null check (cardinality(marketplace_ids) > 0),
    state text not null default 'active' check (state in ('active', 'paused', 'reauthorize', 'contained')),
    -- Whether the application's roles make Amazon send buyer PII.
    includes_pii boolean not null default false,
    created_at timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, name),
    unique (tenant_id, application_id, seller_id, region)
);
alter table bulkhead.connections enable row level security;
alter table bulkhead.connections force row level security;

create policy owner on bulkhead.connections to bulkhead_owner using (true) with check (true);
create policy operator on bulkhead.connections to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.connections for select to bulkhead_scheduler using (true);
create policy worker on bulkhead.connections for select to bulkhead_sync, bulkhead_token
    using (tenant_id = (select bulkhead.current_tenant()) and id = (select bulkhead.current_connection()));
create policy containment on bulkhead.connections to bulkhead_containment using (true) with check (true);
grant select, insert, update (name, marketplace_ids, state, includes_pii) on bulkhead.connections to bulkhead_operator;
grant select (tenant_id, id, application_id, region, state) on bulkhead.connections to bulkhead_scheduler;
grant select on bulkhead.connections to bulkhead_sync;
grant select (tenant_id, id, application_id, region, state) on bulkhead.connections to bulkhead_token;
grant select (tenant_id, id, application_id, name, region, state), update (state)
    on bulkhead.connections to bulkhead_containment;

-- Sealed by the operator's command line, opened by the token worker only.
create table bulkhead.refresh_tokens (
    tenant_id uuid not null,
    connection_id uuid not null,
    dek_id bigint not null,
    kek_id text not null,
    kek_version integer not null,
    wrapped_dek bytea not null,
    sealed bytea not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, connection_id),
    foreign key (tenant_id, connection_id) references bulkhead.connections (tenant_id, id)
);
alter table bulkhead.refresh_tokens enable row level security;
alter table bulkhead.refresh_tokens force row level security;

create policy operator on bulkhead.refresh_tokens to bulkhead_operator using (true) with check (true);
create policy token on bulkhead.refresh_tokens for select to bulkhead_token
    using (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()));
grant insert, update (dek_id, kek_id, kek_version, wrapped_dek, sealed, created_at),
    select (tenant_id, connection_id, dek_id, kek_id, kek_version, created_at)
    on bulkhead.refresh_tokens to bulkhead_operator;
grant select on bulkhead.refresh_tokens to bulkhead_token;

-- Sealed by the token worker, opened by the sync workers. `generation` counts refreshes: a worker whose token was
-- refused tells which generation it used, so that many such workers cause one refresh.
create table bulkhead.access_tokens (
    tenant_id uuid not null,
    connection_id uuid not null,
    dek_id bigint not null,
    kek_id text not null,
    kek_version integer not null,
    wrapped_dek bytea not null,
    sealed bytea not null,
    expires_at timestamptz not null,
    lifetime_ms bigint not null check (lifetime_ms > 0),
    generation bigint not null default 1 check (generation > 0),
    refreshed_at timestamptz not null default now(),
    primary key (tenant_id, connection_id),
    foreign key (tenant_id, connection_id) references bulkhead.connections (tenant_id, id)
);
alter table bulkhead.access_tokens enable row level security;
alter table bulkhead.access_tokens force row level security;

create policy owner on bulkhead.access_tokens for select to bulkhead_owner using (true);
create policy operator on bulkhead.access_tokens for select to bulkhead_operator using (true);
create policy token on bulkhead.access_tokens to bulkhead_token
    using (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()))
    with check (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()));
create policy sync on bulkhead.access_tokens for select to bulkhead_sync
    using (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()));
grant select (tenant_id, connection_id, expires_at, lifetime_ms, generation, refreshed_at)
    on bulkhead.access_tokens to bulkhead_operator;
grant insert, update, select (tenant_id, connection_id, expires_at, lifetime_ms, generation, refreshed_at)
    on bulkhead.access_tokens to bulkhead_token;
grant select on bulkhead.access_tokens to bulkhead_sync;
