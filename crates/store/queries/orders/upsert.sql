-- Orders of one page; a row that is newer already stays. Returns how many were written.
insert into bulkhead.orders as held
    (tenant_id, connection_id, order_id, created_time, last_updated_time, marketplace_id, fulfillment_status, fulfilled_by,
     total_amount, total_currency, document, dataset)
select $1, $2, order_id, created_time, last_updated_time, marketplace_id, fulfillment_status, fulfilled_by,
    total_amount::numeric, total_currency, document, $3
from unnest(
    $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[]
) as page (order_id, created_time, last_updated_time, marketplace_id, fulfillment_status, fulfilled_by, total_amount,
           total_currency, document)
on conflict (tenant_id, connection_id, order_id) do update
set created_time = excluded.created_time, last_updated_time = excluded.last_updated_time,
    marketplace_id = excluded.marketplace_id, fulfillment_status = excluded.fulfillment_status,
    fulfilled_by = excluded.fulfilled_by, total_amount = excluded.total_amount, total_currency = excluded.total_currency,
    document = excluded.document, dataset = excluded.dataset, synced_at = now()
where excluded.last_updated_time >= held.last_updated_time
