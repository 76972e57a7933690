--[[ Let a paused lane go on.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2]  connection
  Returns 'RESUMED' | 'NOT_PAUSED'. ]]
if call('SREM', PAUSED, ARGV[2]) == 0 then
  return 'NOT_PAUSED'
end
local before, lane = horizon(), call('HGET', LANES, ARGV[2])
if lane then
  make_ready(lane, ARGV[2])
end
announce(before)
return 'RESUMED'
