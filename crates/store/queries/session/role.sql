-- Who this session is: a fleet process must be a plain login.
select
    session_user::text as "name!",
    r.rolsuper as "superuser!",
    r.rolbypassrls as "bypasses_row_security!",
    to_regrole('bulkhead_owner') is not null and pg_has_role(r.oid, to_regrole('bulkhead_owner'), 'member') as "is_owner!"
from pg_roles r
where r.rolname = session_user
