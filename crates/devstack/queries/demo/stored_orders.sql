-- The orders of one seller with the ids of their items, as they are stored.
select
    o.order_id,
    (extract(epoch from o.last_updated_time) * 1000000)::bigint as last_updated_us,
    array(
        select i.order_item_id from bulkhead.order_items i
        where i.tenant_id = o.tenant_id and i.connection_id = o.connection_id and i.order_id = o.order_id
        order by i.order_item_id limit 1000
    ) as items
from bulkhead.orders o
join bulkhead.connections c on c.tenant_id = o.tenant_id and c.id = o.connection_id
where c.seller_id = $1
order by o.order_id
limit 10000000
