--[[ The floor of an enqueue: a body in a hash, an id in a list.
  KEYS[1]  bodies   KEYS[2]  ids   ARGV  per job: id, body ]]
local ids = {}
for at = 1, #ARGV, 2 do
  ids[#ids + 1] = ARGV[at]
end
redis.call('HSET', KEYS[1], unpack(ARGV))
redis.call('RPUSH', KEYS[2], unpack(ids))
return #ids
