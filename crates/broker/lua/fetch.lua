--[[ Lease up to `max` jobs, fairly: the tenant least served, its connection least served, its most urgent job.
  KEYS[1]  the shard
  ARGV[1]  the time       ARGV[2]  worker       ARGV[3]  sequence, 16 digits
  ARGV[4]  max, ≤ 256     ARGV[5]  visibility timeout, µs
  The same worker and sequence are answered with the same jobs, as far as it still holds them: a reply may be lost.
  Before, up to 100 due jobs are queued and up to 100 parked lanes woken.
  Returns 'FETCHED', token, µs until something else becomes runnable (-1: nothing will by time), and three lists, job
  by job: ids, bodies, trials (empty if no job has any); or 'STALE', the newer sequence that this worker has used. ]]
local now, worker, sequence = now_us(ARGV[1]), ARGV[2], ARGV[3]
local max, visibility = tonumber(ARGV[4]), tonumber(ARGV[5])

-- The reply about leased jobs.
local function answer(token, wait, ids)
  if #ids == 0 then
    return { 'FETCHED', token, wait, {}, {}, {} }
  end
  local trials = call('EXISTS', TRIALS) == 1 and call('HMGET', TRIALS, unpack(ids)) or {}
  return { 'FETCHED', token, wait, ids, call('HMGET', JOBS, unpack(ids)), trials }
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
  return answer(tonumber(token), 0, held)
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
    make_ready(lane, connection)
  end
end

-- The choice is made on copies of the virtual times, which are written back at the end. As many of the least served
-- tenants, and of a tenant's least served lanes, are copied as can have a turn.
local vtime = tonumber(call('GET', VTIME) or 0)
local tenants, head, touched = {}, 1, {}
local flat = call('ZRANGE', TENANTS, 0, max - 1, 'WITHSCORES')
for at = 1, #flat, 2 do
  tenants[#tenants + 1] = { id = flat[at], served = tonumber(flat[at + 1]) }
end

-- Puts an entry behind those that were served as little as it was.
local function insert(list, first, entry)
  local at = #list + 1
  while at > first and list[at - 1].served > entry.served do
    list[at] = list[at - 1]
    at = at - 1
  end
  list[at] = entry
end

local function write_back(tenant)
  local scores, count = {}, 0
  for _, lane in ipairs(tenant.lanes or {}) do
    if lane.touched then
      scores[count + 1], scores[count + 2] = lane.served, lane.name
      count = count + 2
    end
  end
  if count > 0 then
    call('ZADD', READY .. tenant.id, 'XX', unpack(scores))
  end
end

-- Copies the least served lanes of a tenant; after `turns` turns another one may be less served than they.
local function copy_lanes(tenant, turns)
  write_back(tenant)
  local lanes = {}
  local ready = call('ZRANGE', READY .. tenant.id, 0, turns - 1, 'WITHSCORES')
  for at = 1, #ready, 2 do
    lanes[#lanes + 1] = { name = ready[at], served = tonumber(ready[at + 1]) }
  end
  tenant.lanes = lanes
  tenant.turns = #lanes == turns and turns or math.huge
end

-- Takes jobs from the front of a queue. Returns whether it is empty now.
local chosen, taken = {}, 0
local ghosts = call('EXISTS', GHOSTS) == 1
local function take(list, count)
  local popped = call('LPOP', list, count) or {}
  for _, id in ipairs(popped) do
    local stale = ghosts and tonumber(call('HGET', GHOSTS, id) or 0) or 0
    if stale > 1 then
      call('HSET', GHOSTS, id, stale - 1)
    elseif stale == 1 then
      call('HDEL', GHOSTS, id)
    else
      taken = taken + 1
      chosen[taken] = id
    end
  end
  return #popped < count or call('EXISTS', list) == 0
end

-- One turn of a tenant's least served lane. Returns whether the tenant may have another.
local function serve(tenant, count)
  local lane, before = table.remove(tenant.lanes, 1), taken
  local drained = take(QUEUE .. lane.name, count)
  local jobs = taken - before
  lane.served, lane.touched = lane.served + jobs, true
  tenant.served, tenant.turns = tenant.served + jobs, tenant.turns - 1
  if drained then
    -- What is written here decides where a tenant that leaves off now begins again.
    call('SET', VTIME, vtime)
    call('ZADD', TENANTS, 'XX', tenant.served, tenant.id)
    local connection = sub(lane.name, 1, 16)
    local left = mark_drained(connection, sub(lane.name, 17))
    lane.name = left and ready_name(left, connection)
  end
  if lane.name then
    insert(tenant.lanes, 1, lane)
  end
  return #tenant.lanes > 0 or tenant.turns < math.huge
end

-- Bounded by the jobs that it takes and the ghosts that it clears away.
local visits, quantum = 0, math.max(1, math.floor(max / 8))
while taken < max and visits < 2 * max and tenants[head] do
  visits = visits + 1
  local tenant, waiting, room = tenants[head], #tenants - head + 1, max - taken
  tenants[head], head = false, head + 1
  vtime = math.max(vtime, tenant.served)
  if not tenant.lanes then
    touched[#touched + 1] = tenant
  end
  if not tenant.lanes or tenant.turns <= 0 or #tenant.lanes == 0 then
    copy_lanes(tenant, math.ceil(room / waiting))
  end
  if #tenant.lanes > 0 then
    -- A turn is worth several jobs, all charged: the same shares in the long run, and fewer calls for each job.
    local count = math.max(quantum, math.floor(room / waiting / #tenant.lanes))
    if serve(tenant, math.min(count, room)) then
      insert(tenants, head, tenant)
    end
  end
end
local scores = {}
for _, tenant in ipairs(touched) do
  write_back(tenant)
  scores[#scores + 1] = tenant.served
  scores[#scores + 1] = tenant.id
end
if #scores > 0 then
  call('ZADD', TENANTS, 'XX', unpack(scores))
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
if taken == 0 then
  return answer(0, wait, chosen)
end
local token = math.max(tonumber(call('GET', TOKEN) or 0) + 1, now)
local digits, expires = string.format('%016.0f', token), whole(now + visibility)
local holder, leases, holders = digits .. worker, {}, {}
for n = 1, taken do
  local id = chosen[n]
  leases[2 * n - 1], leases[2 * n] = expires, id
  holders[2 * n - 1], holders[2 * n] = id, holder
end
call('SET', TOKEN, digits)
call('ZADD', LEASES, unpack(leases))
call('HSET', HOLDERS, unpack(holders))
call('SET', FETCHES .. worker, sequence .. digits .. table.concat(chosen), 'PX', 3600000)
return answer(token, wait, chosen)
