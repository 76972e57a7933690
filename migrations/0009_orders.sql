-- How far a connection's dataset is: the completed pass, and the page that the running pass stands at.
create table bulkhead.checkpoints (
    tenant_id uuid not null,
    connection_id uuid not null,
    dataset text not null check (dataset <> ''),
    -- Everything that changed before this is here.
    watermark timestamptz,
    -- The running pass asks for changes in [pass_after, pass_before); null between passes.
    pass_after timestamptz,
    pass_before timestamptz,
    page_token text,
    -- Since the beginning.
    pages bigint not null default 0,
    orders bigint not null default 0,
    order_items bigint not null default 0,
    -- Raised by every change; who changes it names the version that it has read.
    version bigint not null default 1,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, connection_id, dataset),
    foreign key (tenant_id, connection_id) references bulkhead.connections (tenant_id, id)
);
alter table bulkhead.checkpoints enable row level security;
alter table bulkhead.checkpoints force row level security;

create policy operator on bulkhead.checkpoints for select to bulkhead_operator using (true);
create policy sync on bulkhead.checkpoints to bulkhead_sync
    using (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()))
    with check (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()));
grant select (tenant_id, connection_id, dataset, watermark, pass_after, pass_before, pages, orders, order_items, updated_at)
    on bulkhead.checkpoints to bulkhead_operator;
grant select, insert, update on bulkhead.checkpoints to bulkhead_sync;

-- Without anything that tells who the buyer is: that is in order_pii, sealed.
create table bulkhead.orders (
    tenant_id uuid not null,
    connection_id uuid not null,
    order_id text not null,
    created_time timestamptz not null,
    last_updated_time timestamptz not null,
    marketplace_id text,
    fulfillment_status text,
    fulfilled_by text,
    total_amount numeric,
    total_currency text,
    -- As Amazon sent it, PII taken out, so that a field that is new is not lost.
    document jsonb not null,
    dataset text not null,
    first_seen_at timestamptz not null default now(),
    synced_at timestamptz not null default now(),
    primary key (tenant_id, connection_id, order_id),
    foreign key (tenant_id, connection_id) references bulkhead.connections (tenant_id, id)
);
create index orders_by_creation on bulkhead.orders (tenant_id, connection_id, created_time);
alter table bulkhead.orders enable row level security;
alter table bulkhead.orders force row level security;

create policy sync on bulkhead.orders to bulkhead_sync
    using (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()))
    with check (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()));
create policy purge on bulkhead.orders to bulkhead_purge
    using (tenant_id = (select bulkhead.current_tenant()));
grant select, insert, update on bulkhead.orders to bulkhead_sync;
grant select (tenant_id, connection_id, order_id, created_time, last_updated_time, fulfillment_status), delete
    on bulkhead.orders to bulkhead_purge;

create table bulkhead.order_items (
    tenant_id uuid not null,
    connection_id uuid not null,
    order_id text not null,
    order_item_id text not null,
    -- Of the order when the item was read: an older page does not undo a newer one.
    last_updated_time timestamptz not null,
    asin text,
    seller_sku text,
    title text,
    quantity_ordered integer not null,
    quantity_fulfilled integer,
    total_amount numeric,
    total_currency text,
    document jsonb not null,
    first_seen_at timestamptz not null default now(),
    synced_at timestamptz not null default now(),
    primary key (tenant_id, connection_id, order_id, order_item_id),
    foreign key (tenant_id, connection_id, order_id) references bulkhead.orders (tenant_id, connection_id, order_id)
);
alter table bulkhead.order_items enable row level security;
alter table bulkhead.order_items force row level security;

create policy sync on bulkhead.order_items to bulkhead_sync
    using (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()))
    with check (tenant_id = (select bulkhead.current_tenant()) and connection_id = (select bulkhead.current_connection()));
create policy purge on bulkhead.order_items to bulkhead_purge
    using (tenant_id = (select bulkhead.current_tenant()));
grant select, insert, update on bulkhead.order_items to bulkhead_sync;
grant select (tenant_id, connection_id, order_id, order_item_id), delete on bulkhead.order_items to bulkhead_purge;
