--[[ Enqueue jobs, each at most once while it lives.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  high-water mark of the bodies, bytes   ARGV[3]  how many jobs, at most 256
  ARGV[4…] id and body of each job, each id once; then the groups in which they stand. One queue's: connection and
           priority, tenant, how many. Delayed jobs of any lanes: '', '', how many, and the µs before which each must
           not run.
  A dead letter of the same id is superseded.
  Returns 'ADDED' and the positions (from 1) of those that live already, or 'HIGH_WATER', used bytes: then nothing was
  added. ]]
local now, high_water, count = now_us(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local used = call('MEMORY', 'USAGE', JOBS, 'SAMPLES', 5) or 0
if used > high_water then -- guard high_water: false
  return { 'HIGH_WATER', used }
end

local ids, reply = {}, { 'ADDED' }
for n = 1, count do
  ids[n] = ARGV[2 * n + 2]
end
local alive = call('HMGET', JOBS, unpack(ids)) -- guard one_life_at_a_time: {}
for n = 1, count do
  if alive[n] then
    reply[#reply + 1] = n
  end
end
if #reply > count then
  return reply
end

-- The ids from one position to another, without those that live.
local function new_ids(from, to)
  local new = {}
  for n = from, to do
    new[#new + 1] = not alive[n] and ids[n] or nil -- guard living_is_not_pushed_again: ids[n]
  end
  return new
end

local before = horizon()
if #reply == 1 then
  call('HSET', JOBS, unpack(ARGV, 4, 2 * count + 3))
else
  for n = 1, count do
    if not alive[n] then
      call('HSET', JOBS, ids[n], ARGV[2 * n + 3])
    end
  end
end
if call('EXISTS', DEAD) == 1 then -- guard dead_letter_is_superseded: false
  local new = new_ids(1, count)
  call('HDEL', DEAD, unpack(new))
  call('HDEL', DEAD_BODIES, unpack(new))
end

local function delay(from, to, times)
  for n = from, to do
    local not_before = ARGV[times + n - from]
    if alive[n] then -- guard living_is_not_delayed_again: false
      -- It stays as it is.
    elseif tonumber(not_before) > now then -- guard not_before_its_time: false
      call('ZADD', DUE, not_before, ids[n])
    else
      queue('RPUSH', ids[n], ARGV[2 * n + 3])
    end
  end
end

local at, first, total = 2 * count + 4, 1, #ARGV
while at <= total do
  local name, last = ARGV[at], first + ARGV[at + 2] - 1
  if name == '' then
    delay(first, last, at + 3)
    at = at + last - first + 1
  else
    local pushed, length = last - first + 1, 0
    if #reply == 1 then
      length = call('RPUSH', QUEUE .. name, unpack(ids, first, last))
    else
      local new = new_ids(first, last)
      pushed = #new
      length = pushed > 0 and call('RPUSH', QUEUE .. name, unpack(new))
    end
    if length == pushed then
      mark_queued(ARGV[at + 1], sub(name, 1, 16), sub(name, 17))
    end
  end
  at, first = at + 3, last + 1
end
announce(before)
return reply
