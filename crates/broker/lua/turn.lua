--[[ Acknowledge, then fetch, in one call. Put behind `acknowledge` and `fetch`, each wrapped as a function of its ARGV.
  KEYS[1]  the shard
  ARGV     those of `acknowledge`, then those of `fetch` but the time: worker, sequence, max, visibility timeout
  Each half does what it does alone. If the acknowledgements fail, the fetch does not wait for them.
  Returns two replies: that of `acknowledge`, or 'FAILED' (say them again one by one); and that of `fetch`. ]]
local request = { ARGV[1] }
for at = 5, 2, -1 do
  request[at] = table.remove(ARGV)
end
-- What becomes ready in the first half, the second may take: who waits is woken only for what is left.
local publish, before = announce, nil
announce = function(earlier)
  before = earlier
end
local succeeded, acknowledged = pcall(acknowledge, ARGV)
local fetched = fetch(request)
if before then
  publish(before)
end
return { succeeded and acknowledged or 'FAILED', fetched }
