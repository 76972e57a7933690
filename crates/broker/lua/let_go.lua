--[[ Let a tenant, or the class, go on that was held.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2]  tenant, or '*' for every one
  Returns 'LET_GO' | 'NOT_HELD'. ]]
if call('SREM', HELD, ARGV[2]) == 0 then
  return 'NOT_HELD'
end
if ARGV[2] ~= '*'
  and call('EXISTS', READY .. ARGV[2]) == 1 then -- guard only_with_ready_lanes: true
  enter_choice(ARGV[2])
end
call('PUBLISH', WAKE, '')
return 'LET_GO'
