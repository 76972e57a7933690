-- The turn to rebuild Redis, until the transaction ends; Postgres ends that of a scheduler that is stopped or cut off.
select pg_try_advisory_xact_lock(hashtextextended('bulkhead.rebuild', 0)) as "mine!"
