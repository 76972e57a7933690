--[[ What a grant is counted from, and tied to. A nonce of another server counts as none: nobody vouches for what a
  replica has that took over.
  KEYS[1]  the shard
  ARGV[1]  the time
  Returns {time, µs, boot nonce or nil}. ]]
local nonce, server = unpack(call('HMGET', BOOT, 'nonce', 'server'))
local is_own = nonce and server == run_id() -- guard vouched_on_this_server: nonce
return { whole(now_us(ARGV[1])), is_own and nonce or false }
