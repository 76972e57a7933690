-- The only way to owe a token refresh. REQUESTED | BROUGHT_FORWARD | PENDING (one is owed or running already) | STOPPED
create function bulkhead.owe_token_refresh(of_tenant uuid, of_connection uuid, due timestamptz, urgency smallint) returns text
language plpgsql volatile set search_path = pg_catalog
as $$
declare
    live record;
begin
    select day, obligation_id into live
    from bulkhead.live_token_refreshes where tenant_id = of_tenant and connection_id = of_connection;
    if found then
        update bulkhead.obligations
        set due_at = due, priority = least(priority, urgency)
        where tenant_id = of_tenant and day = live.day and id = live.obligation_id and state = 'owed' and due_at > due;
        return case when found then 'BROUGHT_FORWARD' else 'PENDING' end;
    end if;
    insert into bulkhead.obligations (tenant_id, id, day, kind, connection_id, application_id, priority, due_at)
    select tenant_id, gen_random_uuid(), (due at time zone 'UTC')::date, 'token_refresh', id, application_id, urgency, due
    from bulkhead.connections
    where tenant_id = of_tenant and id = of_connection and state = 'active';
    return case when found then 'REQUESTED' else 'STOPPED' end;
exception
    -- Another transaction owed one between the two statements.
    when unique_violation then return 'PENDING';
end
$$;

-- For a sync job whose access token is missing, expired or refused: `seen_generation` is the one it used, 0 for none.
-- FRESH (a newer token is there already), or as owe_token_refresh.
create function bulkhead.request_token_refresh(seen_generation bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
    context constant text[] := bulkhead.verified_context();
begin
    if exists (
        select from bulkhead.access_tokens
        where tenant_id = context[1]::uuid and connection_id = context[2]::uuid and generation > seen_generation
    ) then
        return 'FRESH';
    end if;
    return bulkhead.owe_token_refresh(context[1]::uuid, context[2]::uuid, now(), 0::smallint);
end
$$;
grant execute on function bulkhead.request_token_refresh(bigint) to bulkhead_sync;

-- For the token job that has just stored a token: ends it and owes the next refresh.
create function bulkhead.complete_token_refresh(next_due timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
    context constant text[] := bulkhead.verified_context();
begin
    perform bulkhead.finish_job('done');
    return bulkhead.owe_token_refresh(context[1]::uuid, context[2]::uuid, next_due, 5::smallint);
end
$$;
grant execute on function bulkhead.complete_token_refresh(timestamptz) to bulkhead_token;

-- For the token job whose refresh token Amazon has refused for good: stops this connection, and only it.
create function bulkhead.mark_connection_for_reauthorization(reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
    context constant text[] := bulkhead.verified_context();
    withdrawn integer;
begin
    perform bulkhead.finish_job('dead', reason);
    update bulkhead.connections set state = 'reauthorize'
    where tenant_id = context[1]::uuid and id = context[2]::uuid and state = 'active';
    update bulkhead.obligations
    set state = 'cancelled', finished_at = clock_timestamp(), last_error = left(reason, 2000), claimed_until = null
    where tenant_id = context[1]::uuid and connection_id = context[2]::uuid and state in ('owed', 'enqueued');
    get diagnostics withdrawn = row_count;
    insert into bulkhead.audit_events (tenant_id, actor, action, resource, details)
    values (
        context[1]::uuid, session_user, 'connection.reauthorize', 'connection/' || context[2],
        jsonb_build_object('reason', left(reason, 2000), 'obligations_cancelled', withdrawn)
    );
end
$$;
grant execute on function bulkhead.mark_connection_for_reauthorization(text) to bulkhead_token;

-- For the command line: a connection was added, resumed or authorized again.
create function bulkhead.owe_token_refresh_now(of_tenant uuid, of_connection uuid) returns text
language sql volatile security definer set search_path = pg_catalog
as $$ select bulkhead.owe_token_refresh(of_tenant, of_connection, now(), 0::smallint) $$;
grant execute on function bulkhead.owe_token_refresh_now(uuid, uuid) to bulkhead_operator;
