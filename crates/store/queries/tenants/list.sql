-- Tenants by name, up to $1.
select id, name, policy, created_at as "created_at: jiff_sqlx::Timestamp" from bulkhead.tenants order by name limit $1
