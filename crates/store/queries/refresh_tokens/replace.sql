-- A connection's sealed refresh token, instead of the one it may have. Parameters, not `excluded`: reading that would
-- need the right to read what is sealed.
insert into bulkhead.refresh_tokens (tenant_id, connection_id, dek_id, kek_id, kek_version, wrapped_dek, sealed)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant_id, connection_id) do update
set dek_id = $3, kek_id = $4, kek_version = $5, wrapped_dek = $6, sealed = $7, created_at = now()
