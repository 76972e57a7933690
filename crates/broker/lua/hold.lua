--[[ Hold a tenant, or the class: its queued jobs stay, new ones queue up, what runs goes on.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2]  tenant, or '*' for every one
  Returns 'HELD' | 'ALREADY_HELD'. ]]
if call('SADD', HELD, ARGV[2]) == 0 then
  return 'ALREADY_HELD'
end
if ARGV[2] ~= '*' then -- guard hold_takes_out: false
  leave_choice(ARGV[2])
end
return 'HELD'
