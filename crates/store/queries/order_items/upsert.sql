-- Items of one page's orders; a row that is newer already stays.
insert into bulkhead.order_items as held
    (tenant_id, connection_id, order_id, order_item_id, last_updated_time, asin, seller_sku, title, quantity_ordered,
     quantity_fulfilled, total_amount, total_currency, document)
select $1, $2, order_id, order_item_id, last_updated_time, asin, seller_sku, title, quantity_ordered, quantity_fulfilled,
    total_amount::numeric, total_currency, document
from unnest(
    $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::integer[], $10::integer[], $11::text[],
    $12::text[], $13::jsonb[]
) as page (order_id, order_item_id, last_updated_time, asin, seller_sku, title, quantity_ordered, quantity_fulfilled,
           total_amount, total_currency, document)
on conflict (tenant_id, connection_id, order_id, order_item_id) do update
set last_updated_time = excluded.last_updated_time, asin = excluded.asin, seller_sku = excluded.seller_sku,
    title = excluded.title, quantity_ordered = excluded.quantity_ordered, quantity_fulfilled = excluded.quantity_fulfilled,
    total_amount = excluded.total_amount, total_currency = excluded.total_currency, document = excluded.document,
    synced_at = now()
where excluded.last_updated_time >= held.last_updated_time
