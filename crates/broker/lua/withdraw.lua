--[[ Take away a boot nonce that was established on another server: no permit is granted until another one is.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)
  Returns how many were: 0 or 1. ]]
if call('HGET', BOOT, 'server') ~= run_id() then
  return call('DEL', BOOT)
end
return 0
