-- Asks for a token newer than the one of generation $1.
select bulkhead.request_token_refresh($1) as "word!"
