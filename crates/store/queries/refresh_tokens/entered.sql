-- The sealed refresh token of the entered job's connection.
select dek_id, kek_id, kek_version, wrapped_dek, sealed
from bulkhead.refresh_tokens
where tenant_id = $1 and connection_id = $2
