-- The next version of an application's client secret.
insert into bulkhead.application_secrets (application_id, version, dek_id, kek_id, kek_version, wrapped_dek, sealed)
select $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6
from bulkhead.application_secrets where application_id = $1
returning version
