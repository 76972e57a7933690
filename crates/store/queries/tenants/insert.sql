-- A new tenant.
insert into bulkhead.tenants (id, name, policy, weight) values ($1, $2, $3, $4)
