-- The entered job's connection must be authorized again: stops it, and only it.
select bulkhead.mark_connection_for_reauthorization($1)
