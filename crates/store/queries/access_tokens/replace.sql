-- A fresh access token of the entered job's connection; its generation tells it from the one before.
insert into bulkhead.access_tokens as held
    (tenant_id, connection_id, dek_id, kek_id, kek_version, wrapped_dek, sealed, expires_at, lifetime_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (tenant_id, connection_id) do update
set dek_id = excluded.dek_id, kek_id = excluded.kek_id, kek_version = excluded.kek_version,
    wrapped_dek = excluded.wrapped_dek, sealed = excluded.sealed, expires_at = excluded.expires_at,
    lifetime_ms = excluded.lifetime_ms, generation = held.generation + 1, refreshed_at = now()
returning generation
