-- A tenant by its name.
select id, name, policy, created_at as "created_at: jiff_sqlx::Timestamp" from bulkhead.tenants where name = $1
