-- A connection of a tenant by its name.
select
    c.tenant_id, t.name as tenant_name, c.id, c.application_id, c.name, c.region, c.seller_id, c.marketplace_ids, c.state,
    c.includes_pii, c.created_at as "created_at: jiff_sqlx::Timestamp",
    a.expires_at as "token_expires_at?: jiff_sqlx::Timestamp"
from bulkhead.connections c
join bulkhead.tenants t on t.id = c.tenant_id
left join bulkhead.access_tokens a on a.tenant_id = c.tenant_id and a.connection_id = c.id
where c.tenant_id = $1 and c.name = $2
