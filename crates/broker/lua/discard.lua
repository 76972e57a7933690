--[[ Forget dead letters.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2…]  ids, at most 256
  Returns per id 'DISCARDED' | 'ABSENT'. ]]
local reply = {}
for at = 2, #ARGV do
  call('HDEL', DEAD_BODIES, ARGV[at])
  reply[at - 1] = call('HDEL', DEAD, ARGV[at]) == 1 and 'DISCARDED' or 'ABSENT'
end
return reply
