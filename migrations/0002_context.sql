-- Whose rows a worker may touch is bound to the job it has entered, not to what it says.
-- `bulkhead.enter_job` signs the job's ids for this transaction of this backend; row-level security reads them back
-- through the functions below. Without a context, or with one that was made elsewhere, they raise: closed.
create table bulkhead.context_secret (
    only_row boolean primary key default true check (only_row),
    secret bytea not null
);
-- gen_random_uuid() is the only strong source of randomness in core: 122 bits each.
insert into bulkhead.context_secret (secret)
select sha256(convert_to(string_agg(gen_random_uuid()::text, '/'), 'UTF8')) from generate_series(1, 8);

-- Valid for this transaction (ids of transactions are never reused) of this backend only.
create function bulkhead.context_mac(payload text) returns text
language sql stable set search_path = pg_catalog
as $$
    select encode(
        sha256(secret || convert_to(concat_ws('/', payload, pg_current_xact_id(), pg_backend_pid()), 'UTF8') || secret), 'hex'
    )
    from bulkhead.context_secret
$$;

-- tenant, connection, application, job, day, class
create function bulkhead.verified_context() returns text[]
language plpgsql stable set search_path = pg_catalog
as $$
declare
    context constant text := coalesce(current_setting('bulkhead.context', true), '');
    payload constant text := left(context, -65);
begin
    if context = '' then
        raise exception 'no job has been entered in this transaction' using errcode = 'insufficient_privilege';
    end if;
    if right(context, 64) is distinct from bulkhead.context_mac(payload) then
        raise exception 'the job context was not made by enter_job in this transaction' using errcode = 'insufficient_privilege';
    end if;
    return string_to_array(payload, '/');
end
$$;

create function bulkhead.current_tenant() returns uuid
language sql stable security definer set search_path = pg_catalog
as $$ select (bulkhead.verified_context())[1]::uuid $$;

create function bulkhead.current_connection() returns uuid
language sql stable security definer set search_path = pg_catalog
as $$ select (bulkhead.verified_context())[2]::uuid $$;

create function bulkhead.current_application() returns uuid
language sql stable security definer set search_path = pg_catalog
as $$ select (bulkhead.verified_context())[3]::uuid $$;

grant execute on function bulkhead.current_tenant(), bulkhead.current_connection(), bulkhead.current_application()
    to bulkhead_sync, bulkhead_token, bulkhead_purge, bulkhead_containment;
