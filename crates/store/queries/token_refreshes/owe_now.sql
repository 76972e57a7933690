-- Owes a connection a token refresh, due now.
select bulkhead.owe_token_refresh_now($1, $2) as "word!"
