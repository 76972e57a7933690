-- Up to when a seller's orders are complete: the end of the completed pass.
select (extract(epoch from min(p.watermark)) * 1000000)::bigint as watermark_us
from bulkhead.checkpoints p
join bulkhead.connections c on c.tenant_id = p.tenant_id and c.id = p.connection_id
where c.seller_id = $1
