-- The sealed access token of the entered job's connection.
select dek_id, kek_id, kek_version, wrapped_dek, sealed, expires_at as "expires_at: jiff_sqlx::Timestamp", lifetime_ms, generation
from bulkhead.access_tokens
where tenant_id = $1 and connection_id = $2
