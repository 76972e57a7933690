-- Enters a job in this transaction; the word says whether it is entered, the epoch is that of its fences now.
with entered as materialized (select bulkhead.enter_job($1, $2, $3, $4, $5, $6) as word)
select word as "word!", case when word = 'ENTERED' then bulkhead.fence_epoch() else 0 end as "epoch!"
from entered
