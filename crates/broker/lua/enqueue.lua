--[[ Enqueue jobs, each at most once while it lives.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  high-water mark of the bodies, bytes
  ARGV[3…] groups. One lane's jobs of one priority: connection and priority, tenant, how many, then id and body of
           each. Delayed jobs of any lanes: '', '', how many, then id, body and the µs before which it must not run.
  A dead letter of the same id is superseded. At most 256 jobs a call, each id once.
  Returns 'ADDED' and the positions (from 1) of those that live already, or 'HIGH_WATER', used bytes: then nothing was
  added. ]]
local now, high_water, total = now_us(ARGV[1]), tonumber(ARGV[2]), #ARGV
local used = call('MEMORY', 'USAGE', JOBS, 'SAMPLES', 5) or 0
if used > high_water then
  return { 'HIGH_WATER', used }
end

local groups, ids, count = {}, {}, 0
local at = 3
while at <= total do
  local group = { lane = ARGV[at], tenant = ARGV[at + 1], first = at + 3, step = ARGV[at] == '' and 3 or 2 }
  at = at + 3 + group.step * ARGV[at + 2]
  group.last = at - 1
  groups[#groups + 1] = group
  for argument = group.first, group.last, group.step do
    count = count + 1
    ids[count] = ARGV[argument]
  end
end

local alive, reply = call('HMGET', JOBS, unpack(ids)), { 'ADDED' }
local added, size, position, due = {}, 0, 0, {}
for _, group in ipairs(groups) do
  local pushed = 0
  for argument = group.first, group.last, group.step do
    position = position + 1
    if alive[position] then
      reply[#reply + 1] = position
    else
      added[size + 1], added[size + 2] = ARGV[argument], ARGV[argument + 1]
      size = size + 2
      pushed = pushed + 1
      group[pushed] = ARGV[argument]
      if group.step == 3 then
        due[ARGV[argument]] = ARGV[argument + 2]
      end
    end
  end
end
if size == 0 then
  return reply
end

local before = horizon()
call('HSET', JOBS, unpack(added))
if call('EXISTS', DEAD) == 1 then
  call('HDEL', DEAD, unpack(ids))
  call('HDEL', DEAD_BODIES, unpack(ids))
end
for _, group in ipairs(groups) do
  if group.step == 3 then
    for _, id in ipairs(group) do
      if tonumber(due[id]) > now then
        call('ZADD', DUE, due[id], id)
      else
        queue('RPUSH', id, call('HGET', JOBS, id))
      end
    end
  elseif #group > 0 and call('RPUSH', QUEUE .. group.lane, unpack(group)) == #group then
    mark_queued(group.tenant, sub(group.lane, 1, 16), sub(group.lane, 17))
  end
end
announce(before)
return reply
