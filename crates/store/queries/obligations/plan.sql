-- Owes syncs; what is owed, running or done under the same id already stays as it is.
insert into bulkhead.obligations
    (tenant_id, id, day, kind, connection_id, application_id, dataset, since, priority, due_at, deadline)
select tenant_id, id, day, 'sync', connection_id, application_id, dataset, since, priority, due_at, deadline
from unnest(
    $1::uuid[], $2::uuid[], $3::date[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[], $8::smallint[], $9::timestamptz[],
    $10::timestamptz[]
) as planned (tenant_id, id, day, connection_id, application_id, dataset, since, priority, due_at, deadline)
on conflict (tenant_id, id, day) do nothing
