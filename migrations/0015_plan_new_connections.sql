-- Nights are planned a day ahead. A connection that becomes active later must not wait until the nights that are
-- planned without it are over: its tenant's schedules are planned once more, from the night that may be running on.
-- Ids are deterministic, so what is owed already is not owed twice. The time always changes, by a microsecond at least:
-- a scheduler that has read the connections before this one is committed then fails to advance, and plans again.
-- Row-level security binds the owner too, in whose name the function runs.
create policy owner on bulkhead.schedules to bulkhead_owner using (true) with check (true);

create function bulkhead.plan_nights_of_new_connection() returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
    update bulkhead.schedules
    set planned_until = least(planned_until, now() - make_interval(secs => window_ms / 1000.0)) - interval '1 microsecond'
    where tenant_id = new.tenant_id;
    return null;
end
$$;
create trigger plan_nights_when_added after insert on bulkhead.connections
    for each row when (new.state = 'active') execute function bulkhead.plan_nights_of_new_connection();
create trigger plan_nights_when_active_again after update of state on bulkhead.connections
    for each row when (new.state = 'active' and old.state <> 'active')
    execute function bulkhead.plan_nights_of_new_connection();
