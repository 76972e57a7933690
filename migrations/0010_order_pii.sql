-- Who the buyer is, sealed under a key of the day on which it came. A whole day's partition is dropped at once when its
-- keys have been shredded. The sync workers write it and cannot read it back.
create table bulkhead.order_pii (
    tenant_id uuid not null,
    connection_id uuid not null,
    order_id text not null,
    -- The last UTC day on which it may exist.
    destroy_day date not null,
    ingest_day date not null,
    last_updated_time timestamptz not null,
    dek_id bigint not null,
    sealed bytea not null,
    primary key (tenant_id, connection_id, order_id, destroy_day),
    foreign key (tenant_id, connection_id, order_id) references bulkhead.orders (tenant_id, connection_id, order_id)
) partition by range (destroy_day);
create table bulkhead.order_pii_other partition of bulkhead.order_pii default;
alter table bulkhead.order_pii enable row level security;
alter table bulkhead.order_pii force row level security;
alter table bulkhead.order_pii_other enable row level security;
alter table bulkhead.order_pii_other force row level security;

create policy sync on bulkhead.order_pii to bulkhead_sync
    using (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()))
    with check (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()));
create policy purge on bulkhead.order_pii to bulkhead_purge
    using (tenant_id = (select bulkhead.current_tenant()));
grant insert, update, select (tenant_id, connection_id, order_id, destroy_day, ingest_day, last_updated_time, dek_id)
    on bulkhead.order_pii to bulkhead_sync;
grant select (tenant_id, connection_id, order_id, destroy_day, ingest_day, dek_id), delete
    on bulkhead.order_pii to bulkhead_purge;

-- Keys per tenant and ingest day, one or a few: each sealing process makes its own and cannot unwrap another's.
-- Deleting a row here is the crypto-shred.
create table keystore.pii_keys (
    tenant_id uuid not null,
    ingest_day date not null,
    dek_id bigint not null,
    kek_id text not null,
    kek_version integer not null,
    wrapped bytea not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, ingest_day, dek_id)
);
alter table keystore.pii_keys enable row level security;
alter table keystore.pii_keys force row level security;

create policy sync on keystore.pii_keys for insert to bulkhead_sync
    with check (tenant_id = (select bulkhead.current_tenant()));
create policy purge on keystore.pii_keys to bulkhead_purge
    using (tenant_id = (select bulkhead.current_tenant()));
grant insert on keystore.pii_keys to bulkhead_sync;
grant select (tenant_id, ingest_day, dek_id, kek_id, kek_version, created_at), delete on keystore.pii_keys to bulkhead_purge;
