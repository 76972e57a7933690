--[[ Lease up to `max` jobs, fairly: the tenant least served for its weight, its connection least served, its most
  urgent job.
  KEYS[1]  the shard
  ARGV[1]  the time       ARGV[2]  worker       ARGV[3]  sequence, 16 digits
  ARGV[4]  max, ≤ 256     ARGV[5]  visibility timeout, µs
  The same worker and sequence are answered with the same jobs, as far as it still holds them: a reply may be lost.
  Before, up to 100 due jobs are queued and up to 100 parked lanes woken.
  No more are leased than CAPS let be in flight; up to 128 lanes and tenants beyond a lowered cap leave the choice.
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
if last and sub(last, 1, 16) > sequence then -- guard sequence_rises: false
  return { 'STALE', sub(last, 1, 16) }
end
if last and sub(last, 1, 16) == sequence then -- guard same_sequence_same_jobs: false
  local token, held = sub(last, 17, 32), {}
  for at = 33, #last, 16 do
    local id = sub(last, at, at + 15)
    local holder = call('HGET', HOLDERS, id)
    if holder and sub(holder, 1, 16) == token then -- guard answered_again_while_held: holder
      held[#held + 1] = id
    end
  end
  return answer(tonumber(token), 0, held)
end

if call('SISMEMBER', HELD, '*') == 1 then -- guard held_class_waits: false
  return answer(0, -1, {})
end

local was_ready = call('EXISTS', TENANTS) == 1
local few = 100 -- guard few_wake_at_once: -1
local due = call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, few)
for _, id in ipairs(due) do
  call('ZREM', DUE, id)
  local body = call('HGET', JOBS, id)
  if body then
    queue('RPUSH', id, body)
  end
end
local woken = call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, few)
for _, connection in ipairs(woken) do
  call('ZREM', PARKED, connection)
  local lane = call('HGET', LANES, connection)
  if lane then
    make_ready(lane, connection)
  end
end

-- Takes jobs from the front of a queue. Returns how many, and whether it is empty now.
local chosen, taken = {}, 0
local ghosts, fronts = call('EXISTS', GHOSTS) == 1, call('EXISTS', FRONTS) == 1
local function take(name, count)
  local list, in_front = QUEUE .. name, false
  if fronts and call('SISMEMBER', FRONTS, name) == 1 then -- guard swept_comes_first: false
    list, in_front = FRONT .. name, true
  end
  local popped, before = call('LPOP', list, count) or {}, taken
  for n = 1, #popped do
    local id = popped[n]
    if not ghosts
      or call('HDEL', GHOSTS, name .. id) == 0 then -- guard ghosts_do_not_run: true
      taken = taken + 1
      chosen[taken] = id
    end
  end
  local empty = #popped < count or call('EXISTS', list) == 0
  if empty and in_front then
    call('SREM', FRONTS, name)
  end
  return taken - before, empty and not in_front
end

-- One turn of a tenant: up to `share` jobs of its least served lanes, a few of each. What is written here also decides
-- where a tenant that leaves off now begins again.
local visits, vtime, quantum = 0, tonumber(call('GET', VTIME) or 0), math.max(1, math.floor(max / 8))
local tenant_scores = {}
local function write_tenants()
  if #tenant_scores > 0 then
    call('ZADD', TENANTS, 'XX', unpack(tenant_scores))
    tenant_scores = {}
  end
end

local weighted = call('EXISTS', WEIGHTS) == 1
local function weight_of(tenant)
  return weighted and tonumber(call('HGET', WEIGHTS, tenant)) or 1
end

-- While caps exist: what may yet be taken from whom, and the entries of the index for what was.
local capped, cappings, rooms, flights_c, flights_t = call('EXISTS', CAPS) == 1, 0, {}, {}, {}
local function room_left(kind, id)
  rooms[kind .. id] = rooms[kind .. id] or room_of(kind, id)
  return rooms[kind .. id]
end

-- Notes that the jobs from one position to another fly.
local function fly(from, to, connection, tenant)
  rooms['c' .. connection] = rooms['c' .. connection] - (to - from + 1)
  rooms['t' .. tenant] = rooms['t' .. tenant] - (to - from + 1)
  for n = from, to do
    flights_c[2 * n - 1], flights_c[2 * n] = 0, connection .. chosen[n]
    flights_t[2 * n - 1], flights_t[2 * n] = 0, tenant .. chosen[n]
  end
end

-- Takes who is at its cap out of the choice, until one of its leases ends or the cap is raised.
local function cap(kind, id, served)
  cappings = cappings + 1
  call('ZADD', CAPPED, served, kind .. id)
  some_capped = true
  local lane = kind == 'c' and call('HGET', LANES, id)
  if lane then
    make_unready(lane, id)
  elseif kind == 't' then
    leave_choice(id)
  end
end

local function serve(tenant, served, weight, share)
  if capped and room_left('t', tenant) < 1 then
    cap('t', tenant, 0)
    return
  end
  share = capped and math.min(share, room_left('t', tenant)) or share -- guard cap_of_tenant: share
  vtime = math.max(vtime, served)
  local ready = call('ZRANGE', READY .. tenant, 0, math.ceil(share / quantum) - 1, 'WITHSCORES')
  local scores, drained, each = {}, {}, math.max(quantum, math.floor(2 * share / #ready))
  local full = {}
  for at = 1, #ready, 2 do
    if share > 0 then
      local connection, wanted, jobs, empty = sub(ready[at], 1, 16), math.min(each, share), 0, false
      if capped then
        wanted = math.min(wanted, room_left('c', connection)) -- guard cap_of_connection: room_left('c', connection) and wanted
      end
      if wanted > 0 then
        jobs, empty = take(ready[at], wanted)
        visits, share, served = visits + 1, share - jobs, served + jobs / weight
        drained[#drained + 1] = empty and ready[at] or nil
      end
      scores[at], scores[at + 1] = ready[at + 1] + jobs, ready[at]
      if capped then
        fly(taken - jobs + 1, taken, connection, tenant)
        if room_left('c', connection) < 1 then
          full[#full + 1] = { connection, scores[at] }
        end
      end
    end
  end
  call('ZADD', READY .. tenant, 'XX', unpack(scores))
  tenant_scores[#tenant_scores + 1], tenant_scores[#tenant_scores + 2] = served, tenant
  local tenant_full = capped and room_left('t', tenant) < 1
  if #drained > 0 or #full > 0 or tenant_full then
    write_tenants()
    call('SET', VTIME, vtime)
    for _, name in ipairs(drained) do
      mark_drained(sub(name, 1, 16), sub(name, 17))
    end
    for _, lane in ipairs(full) do
      cap('c', lane[1], lane[2])
    end
    if tenant_full then
      cap('t', tenant, 0)
    end
  end
end

-- Each round gives a turn to the tenants that were served least, as many as may fill the room. A turn is worth several
-- jobs, all charged: the same shares in the long run, and fewer calls for each job. Bounded by the jobs that are taken
-- and the ghosts that are cleared away. Who turns out to be at a cap that was lowered costs the others no visit.
local worth = quantum
while taken < max
  and visits < 2 * max -- guard few_ghosts_at_once: true
  and cappings < 128 + max do
  local room, before = max - taken, taken
  local wanted = math.ceil(room / worth)
  local tenants = call('ZRANGE', TENANTS, 0, wanted - 1, 'WITHSCORES')
  if #tenants == 0 then
    break
  end
  local weights, all = {}, 0
  for at = 1, #tenants, 2 do
    weights[at] = weight_of(tenants[at])
    all = all + weights[at]
  end
  for at = 1, #tenants, 2 do
    if taken < max then
      local share = math.max(quantum, math.floor(room * weights[at] / all))
      serve(tenants[at], tonumber(tenants[at + 1]), weights[at], math.min(share, max - taken))
    end
  end
  write_tenants()
  worth = math.max(1, 2 * (taken - before) / #tenants)
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
local token = tonumber(call('GET', TOKEN) or 0) + 1 -- guard token_above_the_last: now
token = math.max(token, now) -- guard token_above_a_forgotten_one: token
local digits, expires = string.format('%016.0f', token), whole(now + visibility)
local holder, leases, holders = holder_of(digits, worker), {}, {}
for n = 1, taken do
  local id = chosen[n]
  leases[2 * n - 1], leases[2 * n] = expires, id
  holders[2 * n - 1], holders[2 * n] = id, holder
end
call('SET', TOKEN, digits)
add_scored(LEASES, leases)
call('HSET', HOLDERS, unpack(holders))
if capped then
  add_scored(FLIGHT_C, flights_c)
  add_scored(FLIGHT_T, flights_t)
end
call('SET', FETCHES .. worker, sequence .. digits .. table.concat(chosen), 'PX', 3600000)
return answer(token, wait, chosen)
