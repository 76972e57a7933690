-- A fresh access token of the entered job's connection; its generation tells it from the one before. Parameters, not
-- `excluded`: reading that would need the right to read what is sealed.
insert into bulkhead.access_tokens as held
    (tenant_id, connection_id, dek_id, kek_id, kek_version, wrapped_dek, sealed, expires_at, lifetime_ms)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (tenant_id, connection_id) do update
set dek_id = $3, kek_id = $4, kek_version = $5, wrapped_dek = $6, sealed = $7, expires_at = $8, lifetime_ms = $9,
    generation = held.generation + 1, refreshed_at = now()
returning generation
