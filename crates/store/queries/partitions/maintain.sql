-- Makes the partitions of the coming days.
select bulkhead.maintain_partitions() as "made!"
