-- The greatest token that a job which may still run has entered with. Indexes: obligations_enqueued, obligations_due.
select coalesce(max(fencing_token), 0) as "token!" from bulkhead.obligations where state in ('owed', 'enqueued')
