-- An application by its name.
select
    a.id, a.name, a.client_id, a.created_at as "created_at: jiff_sqlx::Timestamp",
    (select max(s.version) from bulkhead.application_secrets s where s.application_id = a.id) as secret_version
from bulkhead.applications a
where a.name = $1
