-- What the entered job needs to know of its connection.
select application_id, region, seller_id, marketplace_ids, includes_pii
from bulkhead.connections
where tenant_id = $1 and id = $2
