--[[ Take back jobs whose lease has expired: their worker crashed, hangs, or is cut off.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  how many at most, ≤ 256   ARGV[3]  crashes that quarantine a job
  A job goes first in its lane again and counts a crash. One that was alone with its worker each time goes to the dead
  letters at ARGV[3] crashes, with the workers that died on it in its history. Of many that a worker held, one may have
  killed it: they have twice as many crashes, and after ARGV[3] they are told apart by running again at different
  times within SPREAD_US. A cancelled job is forgotten.
  Returns per job: id, 'REQUEUED' | 'QUARANTINED' | 'CANCELLED', and for 'QUARANTINED' body and dead letter, else ''. ]]
local now, max, limit = now_us(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local latest = now -- guard only_the_expired: '+inf'
local most = max -- guard few_reaped_at_once: -1
local expired = call('ZRANGEBYSCORE', LEASES, '-inf', latest, 'LIMIT', 0, most)
if #expired == 0 then
  return {}
end
local SPREAD_US = 60000000
local before, reply = horizon(), {}
local holders, held = call('HMGET', HOLDERS, unpack(expired)), {}
local bodies = call('HMGET', JOBS, unpack(expired))
for n = 1, #expired do
  holders[n] = worker_of(holders[n] or '')
  held[holders[n]] = (held[holders[n]] or 0) + 1
end
for n = #expired, 1, -1 do
  local id = expired[n]
  local worker, body = holders[n], bodies[n]
  local word, buried, letter = 'REQUEUED', '', ''
  end_lease(id)
  if not body then
    word = 'CANCELLED'
    call('SREM', CANCELLED, id)
  elseif call('SREM', CANCELLED, id) == 1 then -- guard cancelled_does_not_come_back: false
    word = 'CANCELLED'
    forget(id, body)
  else
    local incident = { at = math.floor(now / 1000), e = 'CRASHED', w = worker, r = '' }
    local trials = tried(id, 'c', incident)
    -- Of a full batch there may be more to come.
    if held[worker] == 1 -- guard company_is_not_solitude: true
      and #expired < max then -- guard full_batch_is_not_solitude: true
      trials.s = (trials.s or 0) + 1
    end
    if (trials.s or 0) >= limit -- guard crashes_end: false
      or trials.c >= 2 * limit then -- guard crashes_in_company_end: false
      word, buried = 'QUARANTINED', body
      bury(id, body, trials, 'its workers crashed ' .. trials.c .. ' times', now)
      letter = call('HGET', DEAD, id)
    else
      call('HSET', TRIALS, id, cjson.encode(trials))
      if trials.c > limit then -- guard suspects_run_apart: false
        local part = (string.byte(id, -1) * 256 + string.byte(id, -2)) / 65536
        call('ZADD', DUE, whole(now + part * SPREAD_US), id)
      else
        queue('LPUSH', id, body)
      end
    end
  end
  for _, part in ipairs({ id, word, buried, letter }) do
    reply[#reply + 1] = part
  end
end
if call('EXISTS', CAPS) == 1 then -- guard reaped_makes_room: false
  land(expired, bodies)
end
settle_bytes()
announce(before)
return reply
