-- A tenant's active connections after id $2, in order of id, up to $3: what a schedule covers.
select id, application_id from bulkhead.connections
where tenant_id = $1 and state = 'active' and id > $2
order by id
limit $3
