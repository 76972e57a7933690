-- Lets a tenant (null: the classes themselves) go on in classes; returns those that were held.
delete from bulkhead.queue_holds where tenant_id is not distinct from $1 and class = any($2::text[]) returning class
