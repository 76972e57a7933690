--[[ The boot nonce, if it was established on this server.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)
  A replica that took over has the nonce of the server before, and may have older data; so has a server that was started
  again. Both know of themselves that they are another run.
  Returns the nonce; '' if there is none, or it is of another run. ]]
local nonce, server = unpack(call('HMGET', BOOT, 'nonce', 'server'))
if nonce
  and server ~= run_id() then -- guard nonce_is_of_this_server: false
  return ''
end
return nonce or ''
