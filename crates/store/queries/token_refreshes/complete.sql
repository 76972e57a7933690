-- Ends the entered token refresh and owes the next one, due at $1.
select bulkhead.complete_token_refresh($1) as "word!"
