-- A new connection.
insert into bulkhead.connections (tenant_id, id, application_id, name, region, seller_id, marketplace_ids, includes_pii)
values ($1, $2, $3, $4, $5, $6, $7, $8)
