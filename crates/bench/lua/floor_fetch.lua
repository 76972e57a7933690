--[[ The floor of a fetch: ids from a list, a lease each, their bodies.
  KEYS[1]  bodies   KEYS[2]  ids   KEYS[3]  leases   ARGV[1]  how many   ARGV[2]  lease, µs
  Returns the ids and the bodies. ]]
local ids = redis.call('LPOP', KEYS[2], ARGV[1])
if not ids then
  return {}
end
local time = redis.call('TIME')
local expires, leases = time[1] * 1000000 + time[2] + ARGV[2], {}
for n, id in ipairs(ids) do
  leases[2 * n - 1], leases[2 * n] = expires, id
end
redis.call('ZADD', KEYS[3], unpack(leases))
return { ids, redis.call('HMGET', KEYS[1], unpack(ids)) }
