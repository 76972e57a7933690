-- Everything below is made and owned by bulkhead_owner, who cannot log in. Nothing is open to PUBLIC, now or later.
alter default privileges revoke execute on functions from public;
alter default privileges revoke usage on types from public;

revoke all on schema bulkhead from public;
grant usage on schema bulkhead to bulkhead_migrator, bulkhead_operator, bulkhead_scheduler, bulkhead_sync, bulkhead_token,
    bulkhead_purge, bulkhead_containment;

-- Wrapped keys of buyer PII live apart, so that they are dumped apart and a backup of the rest holds nothing readable.
create schema keystore;
grant usage on schema keystore to bulkhead_sync, bulkhead_purge;

-- What a process compares with the version that it was built for.
create function bulkhead.schema_version() returns bigint
language sql stable security definer set search_path = pg_catalog
as $$ select max(version) from bulkhead._sqlx_migrations where success $$;
grant execute on function bulkhead.schema_version() to bulkhead_migrator, bulkhead_operator, bulkhead_scheduler, bulkhead_sync,
    bulkhead_token, bulkhead_purge, bulkhead_containment;
