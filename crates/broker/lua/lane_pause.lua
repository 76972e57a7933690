--[[ Hold a lane: its queued jobs stay, new ones queue up, what runs goes on.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2]  connection
  Returns 'PAUSED' | 'ALREADY_PAUSED'. ]]
if call('SADD', PAUSED, ARGV[2]) == 0 then
  return 'ALREADY_PAUSED'
end
local lane = call('HGET', LANES, ARGV[2])
if lane then -- guard pause_takes_out: false
  make_unready(lane, ARGV[2])
end
return 'PAUSED'
