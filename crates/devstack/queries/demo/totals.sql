-- What is stored, counted from the rows themselves and not from anybody's counters.
select
    (select count(*) from bulkhead.orders) as orders,
    (select count(*) from bulkhead.order_items) as order_items,
    (select coalesce(sum(pages), 0)::bigint from bulkhead.checkpoints) as pages,
    (
        select count(*) from (
            select order_id from bulkhead.orders group by order_id having count(*) > 1
            order by order_id limit 100000
        ) twice
    ) as stored_twice
