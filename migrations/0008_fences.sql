-- What stops an application, a tenant or a connection. No row: open, epoch 0. Every change raises the epoch.
create table bulkhead.fences (
    scope text not null check (scope in ('application', 'tenant', 'connection')),
    id uuid not null,
    epoch bigint not null default 1 check (epoch > 0),
    state text not null check (state in ('open', 'closed')),
    changed_at timestamptz not null default now(),
    primary key (scope, id)
);
grant select on bulkhead.fences to bulkhead_scheduler, bulkhead_operator;
grant select, insert, update (epoch, state, changed_at) on bulkhead.fences to bulkhead_containment;

-- Workers hold this advisory lock shared while they write. Who closes a fence commits the state first, then takes the
-- lock exclusively: when it is had, nobody who entered before is still writing.
create function bulkhead.fence_lock(scope text, id uuid) returns bigint
language sql immutable set search_path = pg_catalog
as $$ select hashtextextended('bulkhead.fence/' || scope || '/' || id::text, 0) $$;
grant execute on function bulkhead.fence_lock(text, uuid) to bulkhead_containment;
