-- Every scope that has ever been fenced, up to $1: those that are stopped first.
select scope, id, epoch, state <> 'open' as "closed!"
from bulkhead.fences
order by state, scope, id
limit $1
