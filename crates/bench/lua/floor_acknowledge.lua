--[[ The floor of an acknowledgement: the lease and the body go.
  KEYS[1]  bodies   KEYS[2]  leases   ARGV  ids ]]
redis.call('ZREM', KEYS[2], unpack(ARGV))
return redis.call('HDEL', KEYS[1], unpack(ARGV))
