-- The class of this session's login: a worker cannot choose it.
create function bulkhead.class_of_session() returns text
language sql stable set search_path = pg_catalog
as $$ select substring(session_user from '^bulkhead_(sync|token|purge|containment)$') $$;

create function bulkhead.class_of_kind(kind text) returns text
language sql immutable set search_path = pg_catalog
as $$ select case kind when 'sync' then 'sync' when 'token_refresh' then 'token' end $$;

-- The one way into a tenant's rows for a worker: passes the database fence, proves that the job exists, is of this
-- class and is run by its newest lease, and signs its ids for the rest of this transaction.
-- ENTERED | DONE | CANCELLED (also: dead) | STOPPED (fence or connection) | FENCED (a newer lease entered) | UNKNOWN
create function bulkhead.enter_job(
    job_tenant uuid, job_connection uuid, job uuid, job_day date, lease_token bigint, lease_attempt integer
) returns text
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
    job_class constant text := bulkhead.class_of_session();
    job_application uuid;
    owed record;
    payload text;
begin
    if job_class is null then
        raise exception '% is not a login of a worker', session_user using errcode = 'insufficient_privilege';
    end if;
    -- The fence is read in a statement after the lock; with an older snapshot it would be read as it was before.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'enter_job needs read committed' using errcode = 'invalid_transaction_state';
    end if;
    if coalesce(current_setting('bulkhead.context', true), '') <> '' then
        raise exception 'this transaction has entered a job already' using errcode = 'invalid_transaction_state';
    end if;

    select application_id into job_application
    from bulkhead.connections where tenant_id = job_tenant and id = job_connection;
    if not found then
        return 'UNKNOWN';
    end if;

    perform pg_advisory_xact_lock_shared(bulkhead.fence_lock('application', job_application));
    perform pg_advisory_xact_lock_shared(bulkhead.fence_lock('tenant', job_tenant));
    perform pg_advisory_xact_lock_shared(bulkhead.fence_lock('connection', job_connection));

    -- Waits for an older lease that is still in its transaction; lock_timeout bounds it.
    select * into owed from bulkhead.obligations
    where tenant_id = job_tenant and day = job_day and id = job for update;
    if not found or owed.connection_id <> job_connection or bulkhead.class_of_kind(owed.kind) <> job_class then
        return 'UNKNOWN';
    end if;
    if owed.state = 'done' then
        return 'DONE';
    end if;
    if owed.state in ('cancelled', 'dead') then
        return 'CANCELLED';
    end if;
    if exists (
        select from bulkhead.fences
        where state <> 'open'
            and (scope, id) in (('application', job_application), ('tenant', job_tenant), ('connection', job_connection))
    ) or not exists (
        select from bulkhead.connections where tenant_id = job_tenant and id = job_connection and state = 'active'
    ) then
        return 'STOPPED';
    end if;
    if lease_token < owed.fencing_token then
        return 'FENCED';
    end if;

    update bulkhead.obligations
    set fencing_token = lease_token, attempts = greatest(attempts, lease_attempt)
    where tenant_id = job_tenant and day = job_day and id = job
        and (fencing_token <> lease_token or attempts < lease_attempt);

    payload := concat_ws('/', job_tenant, job_connection, job_application, job, job_day, job_class);
    perform pg_current_xact_id();
    perform set_config('bulkhead.context', payload || '/' || bulkhead.context_mac(payload), true);
    return 'ENTERED';
end
$$;
grant execute on function bulkhead.enter_job(uuid, uuid, uuid, date, bigint, integer)
    to bulkhead_sync, bulkhead_token, bulkhead_purge, bulkhead_containment;

-- How the entered job ended. 'failed' notes the error and leaves it to be tried again.
create function bulkhead.finish_job(outcome text, error text default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
    context constant text[] := bulkhead.verified_context();
begin
    if outcome not in ('done', 'dead', 'cancelled', 'failed') then
        raise exception 'a job does not end as %', outcome using errcode = 'invalid_parameter_value';
    end if;
    update bulkhead.obligations
    set state = case outcome when 'failed' then state else outcome end,
        finished_at = case outcome when 'failed' then null else clock_timestamp() end,
        last_error = case outcome when 'done' then null else left(error, 2000) end,
        claimed_until = null
    where tenant_id = context[1]::uuid and day = context[5]::date and id = context[4]::uuid and state in ('owed', 'enqueued');
end
$$;
grant execute on function bulkhead.finish_job(text, text)
    to bulkhead_sync, bulkhead_token, bulkhead_purge, bulkhead_containment;
