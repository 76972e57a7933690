-- A wrapped key that this process has made for the entered job's tenant and day $2. Made once, inserted once; a job that
-- runs again brings it again. (No `on conflict` target: inferring one would need to read the table.)
insert into keystore.pii_keys (tenant_id, ingest_day, dek_id, kek_id, kek_version, wrapped)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
