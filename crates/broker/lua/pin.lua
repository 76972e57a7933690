--[[ Pin the plan of a subject, or forget all that was pinned and learned of it. Its bucket begins empty.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  subject (budget.lua)   ARGV[3]  rate per s; empty: forget   ARGV[4]  burst
  The bucket's TAT is set beyond anything granted, so that the next permit takes it for empty by its own margins.
  Returns 'PINNED' | 'FORGOTTEN' | 'UNKNOWN' (there was nothing to forget). ]]
local now = now_us(ARGV[1])
local nonce, life = unpack(call('HMGET', BOOT, 'nonce', 'life'))
local stored = call('HGET', PLANS, ARGV[2])
local answer = 'PINNED'
if ARGV[3] == '' then
  call('SREM', PINS, ARGV[2])
  if not stored then
    return 'UNKNOWN'
  end
  call('HDEL', PLANS, ARGV[2])
  answer = 'FORGOTTEN'
else
  local learned = stored and cjson.decode(stored) or {}
  learned.p = { tonumber(ARGV[3]), tonumber(ARGV[4]) }
  learned.s = math.floor(now / 1000)
  call('HSET', PLANS, ARGV[2], cjson.encode(learned))
  call('SADD', PINS, ARGV[2])
end
if nonce then
  -- Two days: longer than any published plan takes to fill from empty.
  call('SET', bucket_of(nonce, life, ARGV[2]), '9000000000000000', 'PX', '172800000')
end
return answer
