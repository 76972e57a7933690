-- What the entered job's caller shows for a permit: the sum of the epochs of its application, tenant and connection,
-- which only rise. Read with, or before, the credentials that the call is made with.
create function bulkhead.fence_epoch() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
    context constant text[] := bulkhead.verified_context();
begin
    return coalesce((
        select sum(epoch) from bulkhead.fences
        where (scope, id) in (
            ('application', context[3]::uuid), ('tenant', context[1]::uuid), ('connection', context[2]::uuid)
        )
    ), 0);
end
$$;
grant execute on function bulkhead.fence_epoch()
    to bulkhead_sync, bulkhead_token, bulkhead_purge, bulkhead_containment;
