-- Where the entered job's connection stands in dataset $3.
select
    watermark as "watermark: jiff_sqlx::Timestamp", pass_after as "pass_after: jiff_sqlx::Timestamp", pass_before as "pass_before: jiff_sqlx::Timestamp",
    page_token, pages, version
from bulkhead.checkpoints
where tenant_id = $1 and connection_id = $2 and dataset = $3
