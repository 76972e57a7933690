-- A new LWA client.
insert into bulkhead.applications (id, name, client_id) values ($1, $2, $3)
