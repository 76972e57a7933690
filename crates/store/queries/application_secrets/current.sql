-- The client id and the newest client secret of the entered job's application.
select a.client_id, s.version, s.dek_id, s.kek_id, s.kek_version, s.wrapped_dek, s.sealed
from bulkhead.applications a
join bulkhead.application_secrets s on s.application_id = a.id
where a.id = (select bulkhead.current_application())
order by s.version desc
limit 1
