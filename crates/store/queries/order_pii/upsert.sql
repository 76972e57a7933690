-- Sealed buyer PII of one page's orders; a row that is newer already stays. Not `on conflict do update`: reading
-- `excluded` would need the right to read what is sealed. One job at a time is inside a connection's dataset; should two
-- insert the same row, the later one keeps it.
with page as (
    select order_id, destroy_day, ingest_day, last_updated_time, dek_id, sealed
    from unnest($3::text[], $4::date[], $5::date[], $6::timestamptz[], $7::bigint[], $8::bytea[])
        as columns (order_id, destroy_day, ingest_day, last_updated_time, dek_id, sealed)
),
updated as (
    update bulkhead.order_pii held
    set ingest_day = page.ingest_day, last_updated_time = page.last_updated_time, dek_id = page.dek_id, sealed = page.sealed
    from page
    where held.tenant_id = $1 and held.connection_id = $2 and held.order_id = page.order_id
        and held.destroy_day = page.destroy_day and held.destroy_day = any($4)
        and page.last_updated_time >= held.last_updated_time
    returning 1
),
inserted as (
    insert into bulkhead.order_pii
        (tenant_id, connection_id, order_id, destroy_day, ingest_day, last_updated_time, dek_id, sealed)
    select $1, $2, order_id, destroy_day, ingest_day, last_updated_time, dek_id, sealed
    from page
    where not exists (
        select from bulkhead.order_pii held
        where held.tenant_id = $1 and held.connection_id = $2 and held.order_id = page.order_id
            and held.destroy_day = page.destroy_day and held.destroy_day = any($4)
    )
    on conflict do nothing
    returning 1
)
select (select count(*) from updated) + (select count(*) from inserted) as "written!"
