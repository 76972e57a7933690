-- Enters a job in this transaction; the word says whether it is entered.
select bulkhead.enter_job($1, $2, $3, $4, $5, $6) as "word!"
