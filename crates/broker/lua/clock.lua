--[[ What a grant is counted from, and tied to.
  KEYS[1]  the shard
  ARGV[1]  the time
  Returns {time, µs, boot nonce or nil}. ]]
return { whole(now_us(ARGV[1])), call('HGET', BOOT, 'nonce') }
