--[[ Forgive a leased job the crashes of earlier workers: it has got on since, so it was not their cause.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2]  job id   ARGV[3]  fencing token, 16 digits
  Its failures and its history stay.
  Returns 'FORGIVEN' | 'INNOCENT' (no crash counts against it) | 'FENCED' (a newer lease exists) | 'NOT_LEASED'. ]]
local holder = call('HGET', HOLDERS, ARGV[2])
if not holder then
  return 'NOT_LEASED'
elseif sub(holder, 1, 16) ~= ARGV[3] then -- guard newest_lease_forgives: false
  return 'FENCED'
end
local stored = call('HGET', TRIALS, ARGV[2])
local trials = stored and cjson.decode(stored)
if not trials or trials.c == 0 then
  return 'INNOCENT'
end
trials.c, trials.s = 0, nil
call('HSET', TRIALS, ARGV[2], cjson.encode(trials))
return 'FORGIVEN'
