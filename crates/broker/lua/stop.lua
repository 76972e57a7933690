--[[ Set a scope's tombstone: no permit is granted for it until it is released. Its epoch stays.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2]  scope: 'a' 't' or 'c' and the id
  Returns 'STOPPED'. ]]
local epoch = fence_of(call('HGET', FENCES, ARGV[2]))
call('HSET', FENCES, ARGV[2], '!' .. whole(epoch))
return 'STOPPED'
