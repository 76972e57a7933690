-- LWA clients. They belong to the platform, not to a tenant; a token worker sees the one of the job it has entered.
create table bulkhead.applications (
    id uuid primary key,
    name text not null unique check (name <> ''),
    client_id text not null unique check (client_id <> ''),
    created_at timestamptz not null default now()
);
alter table bulkhead.applications enable row level security;
alter table bulkhead.applications force row level security;

create policy operator on bulkhead.applications to bulkhead_operator using (true) with check (true);
create policy token on bulkhead.applications for select to bulkhead_token
    using (id = (select bulkhead.current_application()));
create policy containment on bulkhead.applications for select to bulkhead_containment using (true);
grant select, insert, update (name) on bulkhead.applications to bulkhead_operator;
grant select (id, client_id) on bulkhead.applications to bulkhead_token;
grant select (id, name) on bulkhead.applications to bulkhead_containment;

-- Client secrets, sealed. The greatest version is the current one; older ones stay for the days of a rotation.
create table bulkhead.application_secrets (
    application_id uuid not null references bulkhead.applications (id),
    version integer not null check (version > 0),
    dek_id bigint not null,
    kek_id text not null,
    kek_version integer not null,
    wrapped_dek bytea not null,
    sealed bytea not null,
    created_at timestamptz not null default now(),
    primary key (application_id, version)
);
alter table bulkhead.application_secrets enable row level security;
alter table bulkhead.application_secrets force row level security;

create policy operator on bulkhead.application_secrets to bulkhead_operator using (true) with check (true);
create policy token on bulkhead.application_secrets for select to bulkhead_token
    using (application_id = (select bulkhead.current_application()));
grant insert, select (application_id, version, dek_id, kek_id, kek_version, created_at)
    on bulkhead.application_secrets to bulkhead_operator;
grant select on bulkhead.application_secrets to bulkhead_token;
