--[[ Take back jobs whose lease has expired: their worker crashed, hangs, or is cut off.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  how many at most, ≤ 256   ARGV[3]  crashes that quarantine a job
  A job goes first in its lane again and counts a crash; at ARGV[3] crashes it goes to the dead letters with the
  workers that died on it in its history. A cancelled job is forgotten.
  Returns per job: id, 'REQUEUED' | 'QUARANTINED' | 'CANCELLED', and for 'QUARANTINED' body and dead letter, else ''. ]]
local now, max, limit = now_us(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local expired = call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, max)
if #expired == 0 then
  return {}
end
local before, reply = horizon(), {}
for n = #expired, 1, -1 do
  local id = expired[n]
  local holder, body = call('HGET', HOLDERS, id), call('HGET', JOBS, id)
  local word, buried, letter = 'REQUEUED', '', ''
  end_lease(id)
  if not body or call('SREM', CANCELLED, id) == 1 then
    word = 'CANCELLED'
    forget(id)
  else
    local incident = { at = math.floor(now / 1000), e = 'CRASHED', w = sub(holder or '', 17), r = '' }
    local trials = tried(id, 'c', incident)
    if trials.c >= limit then
      word, buried = 'QUARANTINED', body
      bury(id, body, trials, 'its workers crashed ' .. trials.c .. ' times', now)
      letter = call('HGET', DEAD, id)
    else
      call('HSET', TRIALS, id, cjson.encode(trials))
      queue('LPUSH', id, body)
    end
  end
  for _, part in ipairs({ id, word, buried, letter }) do
    reply[#reply + 1] = part
  end
end
announce(before)
return reply
