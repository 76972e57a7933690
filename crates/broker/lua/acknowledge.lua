--[[ Say how leased jobs ended. Only the holder of the newest lease may; said twice, it counts once.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  how many are done: nothing of them is kept   ARGV[3]  of how many tenants
  ARGV[4…] of each of these tenants: its id, how many of its jobs are done, the bytes of their bodies; then id and
           fencing token (16 digits) of each that is done, tenant by tenant; then of each other job: id, token, what,
           µs, text
    RELEASE  not started, first in its lane again        PARK   as RELEASE, and its lane waits for µs
    SNOOZE   runs again after µs                         RETRY  failed with text, runs again after µs
    BURY     to the dead letters because of text         At most 256 jobs a call.
  A job that was cancelled while it ran is forgotten, whatever is said.
  Returns position (from 1) and word of each job that is not simply done: 'RELEASED' | 'SNOOZED' | 'PARKED' |
  'RETRYING' | 'BURIED' | 'CANCELLED' | 'FENCED' (a newer lease exists) | 'NOT_LEASED'. ]]
local now, completed, tenants, total = now_us(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), #ARGV
local jobs = 3 * tenants + 2
local others, ids, count = jobs + 2 * completed + 2, {}, completed
for n = 1, completed do
  ids[n] = ARGV[jobs + 2 * n]
end
for at = others, total, 5 do
  count = count + 1
  ids[count] = ARGV[at]
end
local held = call('HMGET', HOLDERS, unpack(ids))
local cancelled = call('EXISTS', CANCELLED) == 1
-- Read before anything is forgotten: they say whose place is free.
local bodies = call('EXISTS', CAPS) == 1 and call('HMGET', JOBS, unpack(ids))
local reply, seen, done, gone, landed = {}, {}, {}, {}, {}
local ended, forgotten = 0, 0
local before

local function say(position, word)
  reply[#reply + 1], reply[#reply + 2] = position, word
end

-- Whether the job at a position is held under `token`, and has not been acknowledged by this call. Most of a batch were
-- leased together: what has been compared is not taken apart again.
local last_holder, last_token
local function may_end(position, token)
  local id, holder = ids[position], held[position]
  if not holder
    or seen[id] then -- guard one_end_in_a_batch: false
    say(position, 'NOT_LEASED')
  elseif (holder ~= last_holder or token ~= last_token)
    and sub(holder, 1, 16) ~= token then -- guard newest_lease_acknowledges: false
    say(position, 'FENCED')
  else
    last_holder, last_token = holder, token
    seen[id] = true
    ended = ended + 1
    done[ended] = id
    if bodies then
      landed[ended] = bodies[position]
    end
    return true
  end
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
    mark_started(id, call('HGET', JOBS, id))
    call('ZADD', DUE, now + after, id)
    return 'SNOOZED'
  end,
  PARK = function(id, after)
    local body = mark_started(id, take_back(id, 'LPUSH'))
    park(sub(body, 19, 34), now + after)
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

local last = 0
for at = 4, 3 * tenants + 1, 3 do
  local first, before_it = last + 1, forgotten
  last = last + ARGV[at + 1]
  for n = first, last do
    if may_end(n, ARGV[jobs + 2 * n + 1]) then
      forgotten = forgotten + 1
      gone[forgotten] = ids[n]
      if cancelled then -- guard completed_is_not_cancelled_later: false
        call('SREM', CANCELLED, ids[n])
      end
    end
  end
  local bytes = ARGV[at + 2]
  if forgotten - before_it < last - first + 1 then -- guard only_what_ended_gives_back: false
    bytes = 0
    for n = before_it + 1, forgotten do
      bytes = bytes + call('HSTRLEN', JOBS, gone[n])
    end
  end
  grow(ARGV[at], -bytes)
end
-- From the last to the first, so that what goes back to the front of a lane keeps its order.
for n = count, completed + 1, -1 do
  local at, id = others + 5 * (n - completed - 1), ids[n]
  if may_end(n, ARGV[at + 1]) then
    if cancelled and call('SREM', CANCELLED, id) == 1 then -- guard cancelled_is_forgotten: false
      forget(id, call('HGET', JOBS, id))
      say(n, 'CANCELLED')
    else
      before = before or horizon()
      say(n, ending[ARGV[at + 2]](id, tonumber(ARGV[at + 3]), ARGV[at + 4], worker_of(held[n])))
    end
  end
end
if ended > 0 then
  call('ZREM', LEASES, unpack(done))
  call('HDEL', HOLDERS, unpack(done))
end
if forgotten > 0 then
  call('HDEL', JOBS, unpack(gone))
  if call('EXISTS', TRIALS) == 1 then
    call('HDEL', TRIALS, unpack(gone))
  end
end
if bodies and ended > 0 then -- guard ended_makes_room: false
  before = before or horizon()
  land(done, landed)
end
settle_bytes()
if before then
  announce(before)
end
return reply
