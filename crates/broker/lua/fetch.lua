--[[ Lease up to `max` jobs, fairly: the tenant least served, its connection least served, its most urgent job.
  KEYS[1]  the shard
  ARGV[1]  the time       ARGV[2]  worker       ARGV[3]  sequence, 16 digits
  ARGV[4]  max, ≤ 256     ARGV[5]  visibility timeout, µs
  The same worker and sequence are answered with the same jobs, as far as it still holds them: a reply may be lost.
  Before, up to 100 due jobs are queued and up to 100 parked lanes woken.
  Returns 'FETCHED', token, µs until something else becomes runnable (-1: nothing will by time),
  then per job: id, body, trials or ''; or 'STALE', the newer sequence that this worker has used already. ]]
local now, worker, sequence = now_us(ARGV[1]), ARGV[2], ARGV[3]
local max, visibility = tonumber(ARGV[4]), tonumber(ARGV[5])

-- Adds to the reply what is known about each leased job.
local function describe(reply, ids)
  if #ids == 0 then
    return reply
  end
  local bodies = call('HMGET', JOBS, unpack(ids))
  local trials = call('EXISTS', TRIALS) == 1 and call('HMGET', TRIALS, unpack(ids)) or {}
  local at = #reply
  for n, id in ipairs(ids) do
    reply[at + 1], reply[at + 2], reply[at + 3] = id, bodies[n], trials[n] or ''
    at = at + 3
  end
  return reply
end

local last = call('GET', FETCHES .. worker)
if last and sub(last, 1, 16) > sequence then
  return { 'STALE', sub(last, 1, 16) }
end
if last and sub(last, 1, 16) == sequence then
  local token, held = sub(last, 17, 32), {}
  for at = 33, #last, 16 do
    local id = sub(last, at, at + 15)
    local holder = call('HGET', HOLDERS, id)
    if holder and sub(holder, 1, 16) == token then
      held[#held + 1] = id
    end
  end
  return describe({ 'FETCHED', tonumber(token), 0 }, held)
end

local was_ready = call('EXISTS', TENANTS) == 1
local due = call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, 100)
for _, id in ipairs(due) do
  call('ZREM', DUE, id)
  local body = call('HGET', JOBS, id)
  if body then
    queue('RPUSH', id, body)
  end
end
local woken = call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, 100)
for _, connection in ipairs(woken) do
  call('ZREM', PARKED, connection)
  local lane = call('HGET', LANES, connection)
  if lane then
    make_ready(sub(lane, 1, 16), connection)
  end
end

-- The loop is bounded by the jobs that it takes and the ghosts that it clears away.
local chosen, visits = {}, 0
local ghosts = call('EXISTS', GHOSTS) == 1
local vtime = tonumber(call('GET', VTIME) or 0)
while #chosen < max and visits < 2 * max do
  visits = visits + 1
  local tenant, served = unpack(call('ZRANGE', TENANTS, 0, 0, 'WITHSCORES'))
  if not tenant then
    break
  end
  local ready = READY .. tenant
  local connection, lane_served = unpack(call('ZRANGE', ready, 0, 0, 'WITHSCORES'))
  local lane = call('HGET', LANES, connection)
  local priority = lane and sub(lane, 17, 17) or '9'
  local list = QUEUE .. connection .. priority
  -- With few tenants or lanes each gets more at a visit: the same shares, fewer visits.
  local share = (max - #chosen) / call('ZCARD', TENANTS)
  if share >= 2 then
    share = share / call('ZCARD', ready)
  end
  local ids = call('LPOP', list, math.max(1, math.floor(share))) or {}
  local drained = call('EXISTS', list) == 0
  local taken = 0
  for _, id in ipairs(ids) do
    local stale = ghosts and tonumber(call('HGET', GHOSTS, id) or 0) or 0
    if stale > 1 then
      call('HSET', GHOSTS, id, stale - 1)
    elseif stale == 1 then
      call('HDEL', GHOSTS, id)
    else
      taken = taken + 1
      chosen[#chosen + 1] = id
    end
  end
  vtime = math.max(vtime, tonumber(served))
  call('ZADD', ready, 'XX', lane_served + taken, connection)
  call('ZADD', TENANTS, 'XX', served + taken, tenant)
  if drained then
    call('SET', VTIME, vtime)
    if lane then
      mark_drained(connection, priority)
    else
      make_unready(tenant, connection)
    end
  end
end

-- With nothing left to choose from, who has been served how much no longer matters.
local more = call('EXISTS', TENANTS) == 1
if not more then
  call('UNLINK', RESTED, VTIME)
elseif visits > 0 then
  call('SET', VTIME, vtime)
  local level = call('ZRANGEBYSCORE', RESTED, '-inf', vtime, 'LIMIT', 0, 64)
  if #level > 0 then
    call('ZREM', RESTED, unpack(level))
  end
  if not was_ready then
    call('PUBLISH', WAKE, '')
  end
end

local wait = -1
if more then
  wait = 0
else
  local soonest = horizon().soonest
  wait = soonest and math.max(0, soonest - now) or -1
end
if #chosen == 0 then
  return { 'FETCHED', 0, wait }
end
local token = math.max(tonumber(call('GET', TOKEN) or 0) + 1, now)
local digits = string.format('%016.0f', token)
local leases, holders = {}, {}
for n, id in ipairs(chosen) do
  leases[2 * n - 1], leases[2 * n] = now + visibility, id
  holders[2 * n - 1], holders[2 * n] = id, digits .. worker
end
call('SET', TOKEN, digits)
call('ZADD', LEASES, unpack(leases))
call('HSET', HOLDERS, unpack(holders))
call('SET', FETCHES .. worker, sequence .. digits .. table.concat(chosen), 'PX', 3600000)
return describe({ 'FETCHED', token, wait }, chosen)
