-- Moves the checkpoint that was read at version $4 (0: there was none); nothing if another job has moved it meanwhile.
insert into bulkhead.checkpoints as held
    (tenant_id, connection_id, dataset, watermark, pass_after, pass_before, page_token, pages, orders, order_items)
select $1, $2, $3, $5, $6, $7, $8, $9, $10, $11
where $4::bigint = 0 or exists (
    select from bulkhead.checkpoints where tenant_id = $1 and connection_id = $2 and dataset = $3
)
on conflict (tenant_id, connection_id, dataset) do update
set watermark = excluded.watermark, pass_after = excluded.pass_after, pass_before = excluded.pass_before,
    page_token = excluded.page_token, pages = held.pages + excluded.pages, orders = held.orders + excluded.orders,
    order_items = held.order_items + excluded.order_items, version = held.version + 1, updated_at = now()
where held.version = $4::bigint
returning version
