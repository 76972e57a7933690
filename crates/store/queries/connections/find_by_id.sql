-- A connection by its id alone: one probe per tenant.
select
    c.tenant_id, t.name as tenant_name, c.id, c.application_id, c.name, c.region, c.seller_id, c.marketplace_ids, c.state,
    c.includes_pii, c.created_at as "created_at: jiff_sqlx::Timestamp",
    a.expires_at as "token_expires_at?: jiff_sqlx::Timestamp"
from bulkhead.tenants t
join bulkhead.connections c on c.tenant_id = t.id and c.id = $1
left join bulkhead.access_tokens a on a.tenant_id = c.tenant_id and a.connection_id = c.id
limit 1
