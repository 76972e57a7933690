-- How the entered job ended.
select bulkhead.finish_job($1, $2)
