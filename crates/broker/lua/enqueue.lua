--[[ Enqueue jobs, each at most once while it lives.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  high-water mark of the bodies, bytes
  ARGV[3…] per job: id, body, and empty or the time in µs before which it must not run
  A dead letter of the same id is superseded. At most 256 jobs a call.
  Returns per job 'ADDED' | 'EXISTS', or only 'HIGH_WATER', used bytes: then nothing was added. ]]
local now, high_water = now_us(ARGV[1]), tonumber(ARGV[2])
local used = call('MEMORY', 'USAGE', JOBS, 'SAMPLES', 5) or 0
if used > high_water then
  return { 'HIGH_WATER', used }
end

local ids = {}
for at = 3, #ARGV, 3 do
  ids[#ids + 1] = ARGV[at]
end
local bodies = call('HMGET', JOBS, unpack(ids))
local reply, added, seen, delayed = {}, {}, {}, {}
local groups, order = {}, {}
for n, id in ipairs(ids) do
  if bodies[n] or seen[id] then
    reply[n] = 'EXISTS'
  else
    local body, not_before = ARGV[3 * n + 1], tonumber(ARGV[3 * n + 2])
    seen[id] = true
    reply[n] = 'ADDED'
    added[#added + 1] = id
    added[#added + 1] = body
    if not_before and not_before > now then
      delayed[#delayed + 1] = not_before
      delayed[#delayed + 1] = id
    else
      local lane = sub(body, 19, 34) .. sub(body, 2, 2)
      local group = groups[lane]
      if not group then
        group = { tenant = sub(body, 3, 18) }
        groups[lane] = group
        order[#order + 1] = lane
      end
      group[#group + 1] = id
    end
  end
end
if #added == 0 then
  return reply
end

local before = horizon()
call('HSET', JOBS, unpack(added))
if call('EXISTS', DEAD) == 1 then
  for id in pairs(seen) do
    call('HDEL', DEAD, id)
    call('HDEL', DEAD_BODIES, id)
  end
end
if #delayed > 0 then
  call('ZADD', DUE, unpack(delayed))
end
for _, name in ipairs(order) do
  local group, connection = groups[name], sub(name, 1, 16)
  local lane = call('HGET', LANES, connection)
  call('RPUSH', QUEUE .. name, unpack(group))
  mark_queued(lane, group.tenant, connection, sub(name, 17))
end
announce(before)
return reply
