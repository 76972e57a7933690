-- What happened, written in the transaction in which it happened. Insert only, for everybody.
create table bulkhead.audit_events (
    day date not null default (clock_timestamp() at time zone 'UTC')::date,
    id uuid not null default gen_random_uuid(),
    -- Null: concerns the fleet, not one tenant.
    tenant_id uuid,
    at timestamptz not null default clock_timestamp(),
    -- Who says so: a person for the command line, a process for the rest.
    actor text not null check (actor <> ''),
    -- Which login wrote it; not the writer's to choose.
    recorded_by name not null default session_user,
    action text not null check (action <> ''),
    resource text not null check (resource <> ''),
    details jsonb not null default '{}',
    primary key (day, id)
) partition by range (day);
create index audit_events_of_tenant on bulkhead.audit_events (tenant_id, at desc);
create index audit_events_by_time on bulkhead.audit_events (at desc);
create table bulkhead.audit_events_other partition of bulkhead.audit_events default;
alter table bulkhead.audit_events enable row level security;
alter table bulkhead.audit_events force row level security;
alter table bulkhead.audit_events_other enable row level security;
alter table bulkhead.audit_events_other force row level security;

create policy owner on bulkhead.audit_events for insert to bulkhead_owner with check (true);
create policy operator on bulkhead.audit_events to bulkhead_operator using (true) with check (true);
create policy fleet on bulkhead.audit_events for insert to bulkhead_scheduler, bulkhead_containment with check (true);
create policy worker on bulkhead.audit_events for insert to bulkhead_sync, bulkhead_token, bulkhead_purge
    with check (tenant_id = (select bulkhead.current_tenant()));
grant insert (tenant_id, actor, action, resource, details) on bulkhead.audit_events
    to bulkhead_operator, bulkhead_scheduler, bulkhead_containment, bulkhead_sync, bulkhead_token, bulkhead_purge;
grant select on bulkhead.audit_events to bulkhead_operator;

-- Not even the owner changes it by accident. Row triggers reach every partition by themselves; a trigger on truncate
-- does not: each partition gets its own when it is made.
create function bulkhead.refuse_change() returns trigger
language plpgsql set search_path = pg_catalog
as $$
begin
    raise exception '% on %: audit events are not changed', lower(tg_op), tg_table_name using errcode = 'insufficient_privilege';
end
$$;
create trigger refuse_change before update or delete on bulkhead.audit_events
    for each row execute function bulkhead.refuse_change();
create trigger refuse_truncate before truncate on bulkhead.audit_events
    for each statement execute function bulkhead.refuse_change();
create trigger refuse_truncate before truncate on bulkhead.audit_events_other
    for each statement execute function bulkhead.refuse_change();
