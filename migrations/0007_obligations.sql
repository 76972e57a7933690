-- Everything that is owed, and the history of what was. A row's id is its job's id in Redis.
create table bulkhead.obligations (
    tenant_id uuid not null,
    id uuid not null,
    -- The UTC day on which it was first due: its partition, known to whoever knows the id.
    day date not null,
    kind text not null check (kind in ('sync', 'token_refresh')),
    connection_id uuid not null,
    application_id uuid not null,
    dataset text,
    since timestamptz,
    priority smallint not null default 5 check (priority between 0 and 9),
    due_at timestamptz not null,
    deadline timestamptz,
    state text not null default 'owed' check (state in ('owed', 'enqueued', 'done', 'dead', 'cancelled')),
    attempts integer not null default 0,
    -- Of the newest lease that has entered; older ones are refused.
    fencing_token bigint not null default 0,
    claimed_until timestamptz,
    enqueued_at timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (tenant_id, id, day),
    foreign key (tenant_id, connection_id) references bulkhead.connections (tenant_id, id),
    check ((kind = 'sync') = (dataset is not null))
) partition by range (day);
create index obligations_due on bulkhead.obligations (due_at) where state = 'owed';
create index obligations_enqueued on bulkhead.obligations (enqueued_at) where state = 'enqueued';
create index obligations_of_connection on bulkhead.obligations (tenant_id, connection_id, due_at desc);
create table bulkhead.obligations_other partition of bulkhead.obligations default;
alter table bulkhead.obligations enable row level security;
alter table bulkhead.obligations force row level security;
alter table bulkhead.obligations_other enable row level security;
alter table bulkhead.obligations_other force row level security;

-- Workers have no grant: they go through enter_job and finish_job.
create policy owner on bulkhead.obligations to bulkhead_owner using (true) with check (true);
create policy operator on bulkhead.obligations to bulkhead_operator using (true) with check (true);
create policy scheduler on bulkhead.obligations to bulkhead_scheduler using (true) with check (true);
create policy containment on bulkhead.obligations to bulkhead_containment using (true) with check (true);
-- Token refreshes are owed through functions that keep them one per connection.
create policy refreshes_by_function on bulkhead.obligations as restrictive for insert
    to bulkhead_operator, bulkhead_scheduler with check (kind <> 'token_refresh');
grant select, insert (tenant_id, id, day, kind, connection_id, application_id, dataset, since, priority, due_at, deadline)
    on bulkhead.obligations to bulkhead_scheduler, bulkhead_operator;
grant update (state, claimed_until, enqueued_at, last_error, finished_at) on bulkhead.obligations to bulkhead_scheduler;
grant update (state, priority, due_at, attempts, claimed_until, enqueued_at, last_error, finished_at)
    on bulkhead.obligations to bulkhead_operator;
grant select, update (state, last_error, finished_at) on bulkhead.obligations to bulkhead_containment;

-- At most one live token refresh per connection. A unique index cannot say so across the days' partitions, so each live
-- one is also a row here, kept by a trigger: a second one violates this key, whoever tries.
create table bulkhead.live_token_refreshes (
    tenant_id uuid not null,
    connection_id uuid not null,
    day date not null,
    obligation_id uuid not null,
    primary key (tenant_id, connection_id)
);
alter table bulkhead.live_token_refreshes enable row level security;
alter table bulkhead.live_token_refreshes force row level security;
create policy owner on bulkhead.live_token_refreshes to bulkhead_owner using (true) with check (true);

create function bulkhead.keep_one_live_token_refresh() returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
declare
    was_live constant boolean := tg_op = 'UPDATE' and old.state in ('owed', 'enqueued');
    is_live constant boolean := new.state in ('owed', 'enqueued');
begin
    if was_live and not is_live then
        delete from bulkhead.live_token_refreshes
        where tenant_id = new.tenant_id and connection_id = new.connection_id and obligation_id = new.id;
    elsif is_live and not was_live then
        insert into bulkhead.live_token_refreshes (tenant_id, connection_id, day, obligation_id)
        values (new.tenant_id, new.connection_id, new.day, new.id);
    end if;
    return null;
end
$$;
create trigger one_live_token_refresh after insert or update of state on bulkhead.obligations
    for each row when (new.kind = 'token_refresh') execute function bulkhead.keep_one_live_token_refresh();
