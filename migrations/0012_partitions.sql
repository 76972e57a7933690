-- One day's partition. Attached, not created in place: that would lock the whole table against its readers.
create function bulkhead.add_partition(parent_name text, day date) returns boolean
language plpgsql set search_path = pg_catalog
as $$
declare
    name constant text := parent_name || to_char(day, '"_"YYYYMMDD');
begin
    if to_regclass(format('bulkhead.%I', name)) is not null then
        return false;
    end if;
    execute format('create table bulkhead.%I (like bulkhead.%I including all)', name, parent_name);
    execute format('alter table bulkhead.%I enable row level security', name);
    execute format('alter table bulkhead.%I force row level security', name);
    if parent_name = 'audit_events' then
        execute format(
            'create trigger refuse_truncate before truncate on bulkhead.%I for each statement execute function bulkhead.refuse_change()',
            name
        );
    end if;
    execute format('alter table bulkhead.%I attach partition bulkhead.%I for values from (%L) to (%L)', parent_name, name, day, day + 1);
    return true;
exception
    -- Rows of that day are in the default partition already, which is correct and only slower.
    when check_violation then
        raise warning 'partition % not made: its rows are in the default partition', name;
        return false;
end
$$;

-- Keeps partitions ahead of the days that are written. Takes no input; called again it does nothing.
create function bulkhead.maintain_partitions() returns integer
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '5s'
as $$
declare
    today constant date := (now() at time zone 'UTC')::date;
    made integer;
begin
    perform pg_advisory_xact_lock(hashtextextended('bulkhead.maintain_partitions', 0));
    select count(*) filter (where bulkhead.add_partition(parent_name, today + ahead)) into made
    from (values ('obligations', -1, 7), ('audit_events', -1, 7), ('order_pii', 0, 35)) as kept (parent_name, first_day, last_day),
        generate_series(first_day, last_day) as ahead;
    return made;
end
$$;
grant execute on function bulkhead.maintain_partitions() to bulkhead_scheduler, bulkhead_operator, bulkhead_migrator;

select bulkhead.maintain_partitions();
