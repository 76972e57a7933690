-- The newest migration that this database has.
select bulkhead.schema_version() as version
