-- Sealed buyer PII of one page's orders; a row that is newer already stays.
insert into bulkhead.order_pii as held
    (tenant_id, connection_id, order_id, destroy_day, ingest_day, last_updated_time, dek_id, sealed)
select $1, $2, order_id, destroy_day, ingest_day, last_updated_time, dek_id, sealed
from unnest($3::text[], $4::date[], $5::date[], $6::timestamptz[], $7::bigint[], $8::bytea[])
    as page (order_id, destroy_day, ingest_day, last_updated_time, dek_id, sealed)
on conflict (tenant_id, connection_id, order_id, destroy_day) do update
set ingest_day = excluded.ingest_day, last_updated_time = excluded.last_updated_time, dek_id = excluded.dek_id,
    sealed = excluded.sealed
where excluded.last_updated_time >= held.last_updated_time
