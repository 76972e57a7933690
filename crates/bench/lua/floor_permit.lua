--[[ The floor of a permit: a bucket's value, and its next one.
  KEYS[1]  bucket   ARGV[1]  its next value
  Returns the one before. ]]
local before = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1])
return before
