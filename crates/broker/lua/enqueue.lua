--[[ Enqueue jobs, each at most once while it lives.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  high-water mark of all bodies, bytes   ARGV[3]  of one tenant's, bytes
  ARGV[4]  'FORWARD' or ''   ARGV[5]  how many jobs, at most 256   ARGV[6]  of how many tenants
  ARGV[7…] of each tenant: its id, the bytes of its bodies here; then id and body of each job, each id once; then the
           groups in which they stand. One queue's: its key, how many. Delayed jobs of any lanes: '', how many, and
           the µs before which each must not run.
  A dead letter of the same id is superseded: its failures and crashes are forgiven, its history stays. From the first job on with which a tenant's living bodies would be above
  its mark, none of its new jobs is added. With 'FORWARD' a job that lives and is not in flight gets the earlier of both
  times and the more urgent of both priorities, and keeps its lane and everything else. One that moves to another queue
  leaves a ghost, for which two entries of the queue that it left are swept.
  Returns 'ADDED', then position (from 1) and word of each job that was not: 'EXISTS' (it lives already) |
  'MOVED_FORWARD' | 'TENANT_FULL'; or 'HIGH_WATER', used bytes: then nothing was added. ]]
local now, high_water, tenant_high_water = now_us(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local forward, count, tenants = ARGV[4] == 'FORWARD', tonumber(ARGV[5]), tonumber(ARGV[6])
local jobs, ids, tenant_ids, room, tight = 2 * tenants + 5, {}, {}, {}, false
for n = 1, count do
  ids[n] = ARGV[jobs + 2 * n]
end
for n = 1, tenants do
  tenant_ids[n] = ARGV[2 * n + 5]
end
tenant_ids[tenants + 1] = ALL
local bytes = call('HMGET', BYTES, unpack(tenant_ids))
local used = tonumber(bytes[tenants + 1] or 0)
if used > high_water then -- guard high_water: false
  return { 'HIGH_WATER', used }
end
local alive = call('HMGET', JOBS, unpack(ids)) -- guard one_life_at_a_time: {}
for n = 1, tenants do
  local more = tonumber(ARGV[2 * n + 6])
  room[tenant_ids[n]] = tenant_high_water - (bytes[n] or 0)
  tight = tight
    or more > room[tenant_ids[n]] -- guard tenant_high_water: false
end

-- Which jobs are not added, and why.
local reply, skipped, new = { 'ADDED' }, {}, count
local function skip(n, word)
  if not skipped[n] then
    skipped[n], new = true, new - 1
  end
  if word then
    reply[#reply + 1], reply[#reply + 2] = n, word
  end
end
for n = 1, count do
  if alive[n] then
    skip(n, not forward and 'EXISTS')
  elseif tight then
    local body = ARGV[jobs + 2 * n + 1]
    local tenant = sub(body, 3, 18)
    room[tenant] = room[tenant] - #body
    if room[tenant] < 0 then
      skip(n, 'TENANT_FULL')
      room[tenant] = -1
    end
  end
end
local all = new == count
if new == 0 and not forward then
  return reply
end

-- The ids from one position to another, without those that are skipped.
local function new_ids(from, to)
  local new = {}
  for n = from, to do
    new[#new + 1] = not skipped[n] and ids[n] or nil -- guard living_is_not_pushed_again: ids[n]
  end
  return new
end

-- Those of some ids that have no entry in a queue; the others take their old place in it again.
local ghosts = call('EXISTS', GHOSTS) == 1
local function without_entry(name, ids)
  local last = {}
  for _, id in ipairs(ids) do
    if call('HDEL', GHOSTS, name .. id) == 0 then -- guard old_place_is_taken_again: true
      last[#last + 1] = id
    end
  end
  return last
end

local before = horizon()
if all then
  call('HSET', JOBS, unpack(ARGV, jobs + 2, jobs + 2 * count + 1))
  for n = 1, tenants do
    grow(tenant_ids[n], tonumber(ARGV[2 * n + 6]))
  end
else
  for n = 1, count do
    if not skipped[n] then
      local body = ARGV[jobs + 2 * n + 1]
      call('HSET', JOBS, ids[n], body)
      grow(sub(body, 3, 18), #body)
    end
  end
end
local held = {}
for n = 1, tenants + 1 do
  local tenant = tenant_ids[n]
  local total = (bytes[n] or 0) + (grown[tenant] or 0)
  if total > 0 then
    held[#held + 1], held[#held + 2] = tenant, bytes_of(total)
  end
end
if new > 0 then
  call('HSET', BYTES, unpack(held))
end
if new > 0 and call('EXISTS', DEAD) == 1 then -- guard dead_letter_is_superseded: false
  local superseded = new_ids(1, count)
  for n, letter in ipairs(call('HMGET', DEAD, unpack(superseded))) do
    if letter then
      local trials = cjson.encode({ f = 0, c = 0, h = cjson.decode(letter).h }) -- guard new_life_forgives: letter
      call('HSET', TRIALS, superseded[n], trials)
    end
  end
  call('HDEL', DEAD, unpack(superseded))
  call('HDEL', DEAD_BODIES, unpack(superseded))
end

-- Moves a job that lives to its new time and priority if they are nearer.
local function move(n, not_before)
  local id, body, priority = ids[n], alive[n], sub(ARGV[jobs + 2 * n + 1], 2, 2)
  local due, urgent = tonumber(call('ZSCORE', DUE, id)), priority < sub(body, 2, 2)
  local earlier = due and not_before < due
  if not (urgent or earlier)
    or call('ZSCORE', LEASES, id) then -- guard running_is_not_moved: false
    return skip(n, 'EXISTS')
  end
  if earlier then
    body = mark_started(id, body)
  end
  if urgent then
    if not due then -- guard moved_leaves_a_ghost: false
      haunt(id, body)
    end
    body = sub(body, 1, 1) .. priority .. sub(body, 3)
    call('HSET', JOBS, id, body)
  end
  if earlier and not_before > now then
    call('ZADD', DUE, whole(not_before), id)
  elseif earlier or not due then
    call('ZREM', DUE, id)
    queue('RPUSH', id, body)
  end
  skip(n, 'MOVED_FORWARD')
end

local function delay(from, to, times)
  for n = from, to do
    local not_before = ARGV[times + n - from]
    if skipped[n] then -- guard living_is_not_delayed_again: false
      if forward and alive[n] then
        move(n, tonumber(not_before))
      end
    elseif tonumber(not_before) > now then -- guard not_before_its_time: false
      call('ZADD', DUE, not_before, ids[n])
    else
      queue('RPUSH', ids[n], ARGV[jobs + 2 * n + 1])
    end
  end
end

local at, first, total = jobs + 2 * count + 2, 1, #ARGV
while at < total do
  local name, last = ARGV[at], first + ARGV[at + 1] - 1
  if name == '' then
    delay(first, last, at + 2)
    at = at + last - first + 1
  else
    local pushed, length = last - first + 1, 0
    if all and not ghosts then
      length = call('RPUSH', name, unpack(ids, first, last))
    else
      local pushing = new_ids(first, last)
      pushing = ghosts and without_entry(sub(name, -17), pushing) or pushing
      pushed = #pushing
      length = pushed > 0 and call('RPUSH', name, unpack(pushing))
    end
    if length == pushed then
      mark_queued(sub(ARGV[jobs + 2 * first + 1], 3, 18), sub(name, -17, -2), sub(name, -1))
    end
    if forward then
      for n = first, last do
        if alive[n] then
          move(n, now)
        end
      end
    end
  end
  at, first = at + 2, last + 1
end
sweep_haunted() -- guard ghosts_are_swept: haunted = {}
announce(before)
return reply
