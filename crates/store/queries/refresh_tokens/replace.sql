-- A connection's sealed refresh token, instead of the one it may have.
insert into bulkhead.refresh_tokens (tenant_id, connection_id, dek_id, kek_id, kek_version, wrapped_dek, sealed)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant_id, connection_id) do update
set dek_id = excluded.dek_id, kek_id = excluded.kek_id, kek_version = excluded.kek_version,
    wrapped_dek = excluded.wrapped_dek, sealed = excluded.sealed, created_at = now()
