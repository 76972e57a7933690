-- How far the connections are, of one tenant if $1 is given, up to $2.
select
    tenant_id, connection_id, dataset, watermark as "watermark: jiff_sqlx::Timestamp", pass_before as "pass_before: jiff_sqlx::Timestamp",
    pages, orders, order_items, updated_at as "updated_at: jiff_sqlx::Timestamp"
from bulkhead.checkpoints
where $1::uuid is null or tenant_id = $1
order by tenant_id, connection_id, dataset
limit $2
