-- How far each tenant's syncs are; the largest tenant first.
select
    t.name,
    count(distinct c.id) as connections,
    coalesce(sum(p.orders), 0)::bigint as orders,
    coalesce(sum(p.pages), 0)::bigint as pages,
    coalesce(sum(o.total), 0)::bigint as syncs,
    coalesce(sum(o.done), 0)::bigint as syncs_done,
    coalesce(sum(o.failed), 0)::bigint as syncs_failed
from bulkhead.tenants t
join bulkhead.connections c on c.tenant_id = t.id
left join lateral (
    select sum(orders) as orders, sum(pages) as pages from bulkhead.checkpoints
    where tenant_id = c.tenant_id and connection_id = c.id
) p on true
left join lateral (
    select
        count(*) as total,
        count(*) filter (where state = 'done') as done,
        count(*) filter (where state in ('dead', 'cancelled')) as failed
    from bulkhead.obligations
    where tenant_id = c.tenant_id and connection_id = c.id and kind = 'sync'
) o on true
group by t.id, t.name
order by count(distinct c.id) desc, t.name
limit 100
