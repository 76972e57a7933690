--[[ Say how leased jobs ended. Only the holder of the newest lease may; said twice, it counts once.
  KEYS[1]  the shard
  ARGV[1]  the time
  ARGV[2…] per job: id, fencing token (16 digits), what, µs, text; at most 256
    COMPLETE, done, nothing is kept      RELEASE, not started, first in its lane again
    SNOOZE   runs again after µs         PARK     as RELEASE, and its lane waits for µs
    RETRY    failed with text, runs again after µs       BURY  to the dead letters because of text
  A job that was cancelled while it ran is forgotten, whatever is said.
  Returns per job 'COMPLETED' | 'RELEASED' | 'SNOOZED' | 'PARKED' | 'RETRYING' | 'BURIED' | 'CANCELLED' |
  'FENCED' (a newer lease exists) | 'NOT_LEASED'. ]]
local now = now_us(ARGV[1])
local ids, order = {}, {}
for at = 2, #ARGV, 5 do
  ids[#ids + 1] = ARGV[at]
end
local held = call('HMGET', HOLDERS, unpack(ids))
local cancelled = call('EXISTS', CANCELLED) == 1
local reply, holder, done, gone = {}, {}, {}, {}
local before
for n, id in ipairs(ids) do
  holder[id] = held[n]
end

local function take_back(id, push)
  local body = call('HGET', JOBS, id)
  queue(push, id, body)
  return body
end

local ending = {
  RELEASE = function(id)
    take_back(id, 'LPUSH')
    return 'RELEASED'
  end,
  SNOOZE = function(id, after)
    call('ZADD', DUE, now + after, id)
    return 'SNOOZED'
  end,
  PARK = function(id, after)
    local body = take_back(id, 'LPUSH')
    park(sub(body, 3, 18), sub(body, 19, 34), now + after)
    return 'PARKED'
  end,
  RETRY = function(id, after, text, worker)
    local incident = { at = math.floor(now / 1000), e = 'FAILED', w = worker, r = text }
    call('HSET', TRIALS, id, cjson.encode(tried(id, 'f', incident)))
    call('ZADD', DUE, now + after, id)
    return 'RETRYING'
  end,
  BURY = function(id, _, text, worker)
    local incident = { at = math.floor(now / 1000), e = 'BURIED', w = worker, r = text }
    bury(id, call('HGET', JOBS, id), tried(id, nil, incident), text, now)
    return 'BURIED'
  end,
}

-- From the last to the first, so that what goes back to the front of a lane keeps its order.
for n = #ids, 1, -1 do
  local at, id = 5 * n - 3, ids[n]
  local holds, what = holder[id], ARGV[at + 2]
  if not holds then
    reply[n] = 'NOT_LEASED'
  elseif sub(holds, 1, 16) ~= ARGV[at + 1] then
    reply[n] = 'FENCED'
  else
    holder[id] = false
    done[#done + 1] = id
    local unwanted = cancelled and call('SREM', CANCELLED, id) == 1
    if what == 'COMPLETE' or unwanted then
      gone[#gone + 1] = id
      reply[n] = what == 'COMPLETE' and 'COMPLETED' or 'CANCELLED'
    else
      before = before or horizon()
      reply[n] = ending[what](id, tonumber(ARGV[at + 3]), ARGV[at + 4], sub(holds, 17))
    end
  end
end
if #done > 0 then
  call('ZREM', LEASES, unpack(done))
  call('HDEL', HOLDERS, unpack(done))
end
if #gone > 0 then
  call('HDEL', JOBS, unpack(gone))
  if call('EXISTS', TRIALS) == 1 then
    call('HDEL', TRIALS, unpack(gone))
  end
end
if before then
  announce(before)
end
return reply
