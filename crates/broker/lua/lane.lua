--[[ Shared by every script, put in front of each when it is loaded: names of keys, the time, lanes.
  KEYS[1]  hash tag of a shard, `{sync.3}`: the prefix of every key here, so that all share a slot
  KEYS[2]  a key that does not exist: a cluster that moves the slot then runs no script on half of the shard (script.rs)
  ARGV[1]  the time in µs of a test, `+µs` or `-µs` to shift Redis's own, or empty for Redis's own

  A lane is *ready*, and stands in `ready:<tenant>`, if it has queued jobs and is neither parked, paused nor capped; a
  tenant stands in `tenants` if it has a ready lane and is neither held nor capped. Both are scored by virtual time: how
  much service they have had. ]]
local call, sub = redis.call, string.sub
local P = KEYS[1]
local JOBS = P .. ':jobs' -- hash: id → body (src/body.rs); the claim on an id
local BYTES = P .. ':bytes' -- hash: tenant, and '*' for all → bytes of their bodies in `jobs`, padded; absent where there are none
local ALL = '*' -- the field of `bytes` for all tenants together
local TRIALS = P .. ':trials' -- hash: id → JSON {f failures, c crashes, s crashes alone, h history}; absent if none
local LANES = P .. ':lanes' -- hash: connection → tenant and the priorities ('058') that have queued jobs
local QUEUE = P .. ':queue:' -- list per connection and priority: ids, the next at the left
local FRONT = P .. ':front:' -- list per queue that is being swept: its first entries; QUEUE has the rest, one at least
local FRONTS = P .. ':fronts' -- set: queues that have one, by connection and priority
local READY = P .. ':ready:' -- sorted set per tenant: next queues of ready lanes by virtual time
local TENANTS = P .. ':tenants' -- sorted set: tenants with a ready lane, by virtual time
local RESTED = P .. ':rested' -- sorted set: tenants without one that are ahead of the shard's virtual time
local VTIME = P .. ':vtime' -- the shard's virtual time: that of the tenant last served
local PARKED = P .. ':parked' -- sorted set: connections by the time until which they wait, µs
local PAUSED = P .. ':paused' -- set: connections that an operator holds
local HELD = P .. ':held' -- set: tenants that an operator holds; '*' for the class
local WEIGHTS = P .. ':weights' -- hash: tenant → weight of its share; 1 if absent
local CAPS = P .. ':caps' -- hash: 'c' connection, 't' tenant, or 'c', 't' for every other one → most in flight
local FLIGHT_C = P .. ':flight_c' -- sorted set while CAPS exists: connection and id of every lease
local FLIGHT_T = P .. ':flight_t' -- sorted set while CAPS exists: tenant and id of every lease
local CAPPED = P .. ':capped' -- sorted set: 'c' connections and 't' tenants at their cap, by the virtual time they left at
local DUE = P .. ':due' -- sorted set: delayed jobs by the time when they may run, µs
local LEASES = P .. ':leases' -- sorted set: jobs in flight by the time when their lease expires, µs
local HOLDERS = P .. ':holders' -- hash: id → fencing token (16 digits) and worker, padded
local TOKEN = P .. ':token' -- the last fencing token
local FETCHES = P .. ':fetch:' -- string per worker: its last sequence, token and ids; expires
local CANCELLED = P .. ':cancelled' -- set: jobs in flight that are not wanted any more
local GHOSTS = P .. ':ghosts' -- hash: connection, priority, id → 1: its entry in that queue stands for no job
local DEAD = P .. ':dead' -- hash: id → JSON {r reason, at ms, f, c, h}
local DEAD_BODIES = P .. ':dead_bodies' -- hash: id → body
local WAITS = P .. ':waits:' -- hash per hour: tenant and bucket → how many starts had waited so long; expires
local BOOT = P .. ':boot' -- hash: nonce, the server's run id then, established µs, life; the grant: from µs, until µs
local FENCES = P .. ':fences' -- hash: 'a' 't' or 'c' and the id → epoch of its fence, behind '!' (tombstone) if closed
local WAKE = P .. ':wake' -- channel
local TOLD = P .. ':told' -- channel: a job in flight was cancelled

local function now_us(injected)
  local mark = sub(injected, 1, 1)
  if mark ~= '' and mark ~= '+' and mark ~= '-' then
    return tonumber(injected)
  end
  local time = call('TIME')
  return time[1] * 1000000 + time[2] + (tonumber(injected) or 0)
end

-- What no other server has, nor this one when it is started again: it is neither stored nor replicated.
local function run_id()
  return string.match(call('INFO', 'server'), 'run_id:(%x+)')
end

local function whole(number)
  return string.format('%.0f', number)
end

-- Epoch of a fence, and whether it has a tombstone; `stored` is its entry in `fences`.
local function fence_of(stored)
  if not stored then
    return 0, false
  elseif sub(stored, 1, 1) == '!' then
    return tonumber(sub(stored, 2)), true
  end
  return tonumber(stored), false
end

-- What waiting workers sleep on: is anything ready, and when does the next thing become so by time.
local function horizon()
  local due = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
  local parked = call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')[2]
  local soonest = tonumber(due or parked)
  if due and parked then
    soonest = math.min(tonumber(due), tonumber(parked))
  end
  return { ready = call('EXISTS', TENANTS) == 1, soonest = soonest }
end

-- Wakes the waiting workers if what they sleep on came nearer since `before`.
local function announce(before)
  local after = horizon()
  if (after.ready and not before.ready)
    or (after.soonest and (not before.soonest or after.soonest < before.soonest)) then
    call('PUBLISH', WAKE, '')
  end
end

-- A ready lane stands in `ready:<tenant>` by the name of the queue that comes next in it: connection and priority.
-- `lane` is its entry in `lanes`.
local function ready_name(lane, connection)
  return connection .. sub(lane, 17, 17)
end

local some_capped
-- The virtual time at which a 'c' connection or 't' tenant left the choice because it was at its cap; false if it is
-- not. Mostly none is.
local function is_capped(member)
  if some_capped == nil then
    some_capped = call('EXISTS', CAPPED) == 1
  end
  return some_capped and call('ZSCORE', CAPPED, member)
end

-- Takes a tenant with ready lanes into the choice, unless it is held or capped: level with the shard, or where it left
-- off.
local function enter_choice(tenant)
  if call('SISMEMBER', HELD, tenant) == 1 -- guard held_tenant_waits: false
    or is_capped('t' .. tenant) then
    return
  end
  local start = tonumber(call('GET', VTIME) or 0) -- guard rest_earns_nothing: 0
  local left_off = call('ZSCORE', RESTED, tenant)
  if left_off then
    call('ZREM', RESTED, tenant)
    start = math.max(start, tonumber(left_off)) -- guard rest_forgives_nothing: start
  end
  call('ZADD', TENANTS, start, tenant)
end

local function leave_choice(tenant)
  local served = call('ZSCORE', TENANTS, tenant)
  call('ZREM', TENANTS, tenant)
  if served and tonumber(served) > tonumber(call('GET', VTIME) or 0) then
    call('ZADD', RESTED, served, tenant)
  end
end

-- Makes a lane with queued jobs ready, unless it is parked, paused, capped, or ready already. A lane begins level with
-- its tenant's least served one: resting earns no claim. One that was capped begins where it left off, or it would come
-- first each time; a score more than a turn ahead is of an older count.
local function make_ready(lane, connection, left_off)
  if call('ZSCORE', PARKED, connection) -- guard parked_lane_waits: false
    or call('SISMEMBER', PAUSED, connection) == 1 -- guard paused_lane_waits: false
    or is_capped('c' .. connection) then
    return
  end
  local tenant, name = sub(lane, 1, 16), ready_name(lane, connection)
  local ready = READY .. tenant
  if call('ZSCORE', ready, name) then
    return
  end
  local first = call('ZRANGE', ready, 0, 0, 'WITHSCORES')
  local start = tonumber(first[2] or left_off or 0)
  if left_off and left_off - start <= 256 then
    start = math.max(start, left_off)
  end
  call('ZADD', ready, start, name)
  if not first[1] then
    enter_choice(tenant)
  end
end

-- Takes a lane, and with the last one its tenant, out of the choice.
local function make_unready(lane, connection)
  local tenant = sub(lane, 1, 16)
  local ready = READY .. tenant
  if call('ZREM', ready, ready_name(lane, connection)) == 0 or call('EXISTS', ready) == 1 then
    return
  end
  leave_choice(tenant)
end

-- Writes a lane's entry; a ready one goes by the name of its new first queue.
local function change_lane(before, after, connection)
  call('HSET', LANES, connection, after)
  local ready, old, new = READY .. sub(after, 1, 16), ready_name(before, connection), ready_name(after, connection)
  local served = old ~= new and call('ZSCORE', ready, old)
  if served then
    call('ZREM', ready, old)
    call('ZADD', ready, served, new)
  end
end

-- Notes that a lane has queued jobs of a priority. One that had some already is as ready as it can be.
local function mark_queued(tenant, connection, priority)
  local lane = call('HGET', LANES, connection)
  if not lane then
    lane = tenant .. priority
    call('HSET', LANES, connection, lane)
    make_ready(lane, connection)
  elseif not string.find(lane, priority, 17, true) then
    local at = 17
    while at <= #lane and sub(lane, at, at) < priority do
      at = at + 1
    end
    change_lane(lane, sub(lane, 1, at - 1) .. priority .. sub(lane, at), connection)
  end
end

-- Notes that a lane has no more queued jobs of a priority; returns its entry, if it has jobs of another.
local function mark_drained(connection, priority)
  local lane = call('HGET', LANES, connection)
  if not lane then
    return
  end
  local at = string.find(lane, priority, 17, true)
  local left = at and sub(lane, 1, at - 1) .. sub(lane, at + 1) or lane
  if #left > 16 then
    change_lane(lane, left, connection)
    return left
  end
  call('HDEL', LANES, connection)
  make_unready(lane, connection)
end

-- Puts a job at an end ('LPUSH' or 'RPUSH') of the queue that its body names. A queue that was not empty is noted. No id
-- stands twice in a queue: one that left it and comes again takes its old place, if its entry has not been swept away.
local function queue(push, id, body)
  local priority, connection = sub(body, 2, 2), sub(body, 19, 34)
  local name = connection .. priority
  if push == 'RPUSH'
    and call('HDEL', GHOSTS, name .. id) == 1 then -- guard old_place_is_taken_again: false
    return
  end
  local list = QUEUE .. name
  if push == 'LPUSH'
    and call('SISMEMBER', FRONTS, name) == 1 then -- guard first_is_before_the_swept: false
    list = FRONT .. name
  end
  if call(push, list, id) == 1 then
    mark_queued(sub(body, 3, 18), connection, priority)
  end
end

-- Marks the entry of a job in the queue that its body names as one that stands for no job: queues are not searched.
-- `sweep_haunted` must follow.
local haunted = {}
local function haunt(id, body)
  local name = sub(body, 19, 34) .. sub(body, 2, 2)
  call('HSET', GHOSTS, name .. id, 1)
  haunted[name] = (haunted[name] or 0) + 1
end

-- Moves the next entries of a queue behind those of its front, without those that stand for no job. When none is left,
-- the front is the queue, and the next sweep begins with its first entry.
local function sweep(name, count)
  local list, front = QUEUE .. name, FRONT .. name
  local ids = call('LPOP', list, count) -- guard few_swept_at_once: call('LPOP', list, 4096)
  if not ids then
    return
  end
  local entries, gone, kept = {}, {}, {}
  for n, id in ipairs(ids) do
    entries[n] = name .. id
  end
  for n, ghost in ipairs(call('HMGET', GHOSTS, unpack(entries))) do
    if ghost then
      gone[#gone + 1] = entries[n]
    else
      kept[#kept + 1] = ids[n]
    end
  end
  if #gone > 0 then
    call('HDEL', GHOSTS, unpack(gone))
  end
  if #kept > 0 then
    call('RPUSH', front, unpack(kept))
    call('SADD', FRONTS, name)
  end
  if call('EXISTS', list) == 1 then
    return
  end
  if call('SREM', FRONTS, name) == 1 then
    call('RENAME', front, list)
  else
    mark_drained(sub(name, 1, 16), sub(name, 17))
  end
end

-- Two entries are swept for each new ghost: a sweep comes to the end of its queue, so that, also in a lane from which
-- nothing is fetched, the entries that stand for no job are never many more than the others.
local function sweep_haunted()
  for name, ghosts in pairs(haunted) do
    sweep(name, 2 * ghosts)
  end
end

-- Marks in a job's body that it was started once, or moved to an earlier time: its next start tells nothing of how long
-- jobs wait. The size stays. Returns the body.
local function mark_started(id, body)
  local version = string.byte(body)
  if version >= 128 then
    return body
  end
  body = string.char(version + 128) .. sub(body, 2)
  call('HSET', JOBS, id, body)
  return body
end

-- Parks a lane at least until `until_us`.
local function park(connection, until_us)
  local if_later = 'GT' -- guard latest_time_parks: 'CH'
  call('ZADD', PARKED, if_later, until_us, connection)
  local lane = call('HGET', LANES, connection)
  if lane then -- guard parking_takes_out: false
    make_unready(lane, connection)
  end
end

-- Adds many members, each after its score, to a sorted set that is mostly small. Redis looks for a short member among
-- up to 128 short ones from the first on: 64 leases would take ten times as long. A set that begins with a long member
-- is not kept in that way, also when the member has gone.
local LONG = '                                                                 '
local function add_scored(key, scored)
  local is_new = call('EXISTS', key) == 0
  if is_new then
    call('ZADD', key, 0, LONG)
  end
  call('ZADD', key, unpack(scored))
  if is_new then
    call('ZREM', key, LONG)
  end
end

-- What HOLDERS has under a token. Padded to more than 64 bytes, so that Redis finds a field without looking through the
-- others even if there are few.
local function holder_of(digits, worker)
  return digits .. worker .. string.rep(' ', 49 - #worker)
end

-- The worker of a holder.
local function worker_of(holder)
  return string.match(holder, '^(.-) *$', 17)
end

-- Ends what is in flight, without saying where the job goes.
local function end_lease(id)
  call('ZREM', LEASES, id)
  call('HDEL', HOLDERS, id)
end

-- The connection and the tenant of a lease's job. One whose body is gone counts for nobody.
local function owners(body)
  if body then
    return sub(body, 19, 34), sub(body, 3, 18)
  end
  return string.rep('\0', 16), string.rep('\0', 16)
end

-- How many more jobs of a connection ('c') or a tenant ('t') may be in flight.
local function room_of(kind, id)
  local own, every = unpack(call('HMGET', CAPS, kind .. id, kind))
  local most = tonumber(own or every or nil)
  if not most then
    return math.huge
  end
  local flight = kind == 'c' and FLIGHT_C or FLIGHT_T
  return most - call('ZLEXCOUNT', flight, '[' .. id, '[' .. id .. string.rep('\255', 16))
end

-- Brings a connection or a tenant back into the choice, if it was at its cap and is not now.
local function uncap(kind, id)
  local left_off = is_capped(kind .. id)
  if not left_off or room_of(kind, id) < 1 then
    return
  end
  call('ZREM', CAPPED, kind .. id)
  local lane = kind == 'c' and call('HGET', LANES, id)
  if lane then
    make_ready(lane, id, tonumber(left_off))
  elseif kind == 't' and call('EXISTS', READY .. id) == 1 then
    enter_choice(id)
  end
end

-- Takes leases that ended out of the index, which CAPS says is kept; what they made room for comes back.
local function land(ids, bodies)
  local of_connections, of_tenants, connections, tenants = {}, {}, {}, {}
  for n, id in ipairs(ids) do
    connections[n], tenants[n] = owners(bodies[n])
    of_connections[n], of_tenants[n] = connections[n] .. id, tenants[n] .. id
  end
  call('ZREM', FLIGHT_C, unpack(of_connections))
  call('ZREM', FLIGHT_T, unpack(of_tenants))
  if call('EXISTS', CAPPED) == 1 then
    for n = 1, #ids do
      uncap('c', connections[n])
      uncap('t', tenants[n])
    end
  end
end

-- What BYTES has for a tenant. Padded to more than 64 bytes, as what HOLDERS has.
local PADDING = '                                                                '
local function bytes_of(total)
  return total .. PADDING
end

-- What this call adds to tenants' bytes; `settle_bytes` writes it at the end.
local grown = {}
local function grow(tenant, bytes)
  grown[tenant] = (grown[tenant] or 0) + bytes
  grown[ALL] = (grown[ALL] or 0) + bytes
end

local function settle_bytes()
  local tenants, kept, none = {}, {}, {}
  for tenant in pairs(grown) do
    tenants[#tenants + 1] = tenant
  end
  if #tenants == 0 then
    return
  end
  local had = call('HMGET', BYTES, unpack(tenants))
  for n, tenant in ipairs(tenants) do
    local bytes = (had[n] or 0) + grown[tenant]
    if bytes > 0 then
      kept[#kept + 1], kept[#kept + 2] = tenant, bytes_of(bytes)
    else
      none[#none + 1] = tenant
    end
  end
  if #kept > 0 then
    call('HSET', BYTES, unpack(kept))
  end
  if #none > 0 then
    call('HDEL', BYTES, unpack(none))
  end
end

-- Forgets a job with its body; `settle_bytes` must follow.
local function forget(id, body)
  call('HDEL', JOBS, id)
  call('HDEL', TRIALS, id)
  grow(sub(body, 3, 18), -#body)
end

-- A job's trials with one more incident; the history keeps the last ten.
local function tried(id, counter, incident)
  local stored = call('HGET', TRIALS, id)
  local trials = stored and cjson.decode(stored) or { f = 0, c = 0, h = {} }
  if counter then
    trials[counter] = trials[counter] + 1
  end
  table.insert(trials.h, incident)
  if #trials.h > 10 then -- guard history_ends: false
    table.remove(trials.h, 1)
  end
  return trials
end

-- Moves a job to the dead letters; `settle_bytes` must follow.
local function bury(id, body, trials, reason, now)
  trials.r = reason
  trials.at = math.floor(now / 1000)
  call('HSET', DEAD, id, cjson.encode(trials))
  call('HSET', DEAD_BODIES, id, body)
  forget(id, body)
end

