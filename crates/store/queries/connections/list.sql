-- Connections with their tenants' names, of one tenant if $1 is given, up to $2.
select
    c.tenant_id, t.name as tenant_name, c.id, c.application_id, c.name, c.region, c.seller_id, c.marketplace_ids, c.state,
    c.includes_pii, c.created_at as "created_at: jiff_sqlx::Timestamp",
    a.expires_at as "token_expires_at?: jiff_sqlx::Timestamp"
from bulkhead.connections c
join bulkhead.tenants t on t.id = c.tenant_id
left join bulkhead.access_tokens a on a.tenant_id = c.tenant_id and a.connection_id = c.id
where $1::uuid is null or c.tenant_id = $1
order by t.name, c.name
limit $2
