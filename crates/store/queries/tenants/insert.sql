-- A new tenant.
insert into bulkhead.tenants (id, name, policy) values ($1, $2, $3)
