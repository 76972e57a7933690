--[[ What shard {sync.0} holds, read at once and past the broker: ids of jobs, of dead letters and of their bodies;
  queue and id of each entry of a queue, in their order; ghosts; due jobs and leases with their times; holders;
  cancelled jobs; parked lanes with their times; trials; and what disagrees with what: lanes with their queues, or with
  whether they are ready, and leases with their index, bytes with bodies. ]]
local P = '{sync.0}'
local call = redis.call
local queued, disagreements = {}, {}

local function disagree(what, id)
  disagreements[#disagreements + 1] = what .. ' ' .. (string.byte(id, 8) or id)
end

for _, key in ipairs(call('KEYS', P .. ':queue:*')) do
  local name, twice = string.sub(key, #P + 8), {}
  for _, list in ipairs({ P .. ':front:' .. name, key }) do
    for _, id in ipairs(call('LRANGE', list, 0, -1)) do
      queued[#queued + 1] = name .. id
      if twice[id] then
        disagree('a job stands twice in a queue', id)
      end
      twice[id] = true
    end
  end
  local lane = call('HGET', P .. ':lanes', string.sub(name, 1, 16))
  if not lane or not string.find(lane, string.sub(name, 17), 17, true) then
    disagree('a queue is unknown to its lane', name)
  end
end

local fronts = call('KEYS', P .. ':front:*')
if #fronts ~= call('SCARD', P .. ':fronts') then
  disagree('there are other fronts than it is said', P)
end
for _, key in ipairs(fronts) do
  local name = string.sub(key, #P + 8)
  if call('SISMEMBER', P .. ':fronts', name) == 0 or call('EXISTS', P .. ':queue:' .. name) == 0 then
    disagree('a front is unknown or without its queue', name)
  end
end

local lanes, ready_lanes, ready_tenants = call('HGETALL', P .. ':lanes'), 0, {}
for at = 1, #lanes, 2 do
  local connection, tenant = lanes[at], string.sub(lanes[at + 1], 1, 16)
  for digit = 17, #lanes[at + 1] do
    if call('EXISTS', P .. ':queue:' .. connection .. string.sub(lanes[at + 1], digit, digit)) == 0 then
      disagree('an empty queue is known to its lane', connection)
    end
  end
  local waits = call('ZSCORE', P .. ':parked', connection)
    or call('SISMEMBER', P .. ':paused', connection) == 1
    or call('ZSCORE', P .. ':capped', 'c' .. connection)
  local ready = call('ZSCORE', P .. ':ready:' .. tenant, connection .. string.sub(lanes[at + 1], 17, 17))
  if waits and ready then
    disagree('a lane that waits is ready', connection)
  elseif not waits and not ready then
    disagree('a lane that does not wait is not ready', connection)
  end
  if ready then
    ready_lanes = ready_lanes + 1
    ready_tenants[tenant] = true
  end
end
for _, key in ipairs(call('KEYS', P .. ':ready:*')) do
  ready_lanes = ready_lanes - call('ZCARD', key)
end
if ready_lanes ~= 0 then
  disagree('lanes without jobs are ready', P)
end
local choice = 0
for tenant in pairs(ready_tenants) do
  local held = call('SISMEMBER', P .. ':held', tenant) == 1 or call('ZSCORE', P .. ':capped', 't' .. tenant)
  local chosen = call('ZSCORE', P .. ':tenants', tenant)
  choice = choice + (chosen and 1 or 0)
  if held and chosen then
    disagree('a held or capped tenant is in the choice', tenant)
  elseif not held and not chosen then
    disagree('a tenant with a ready lane is not in the choice', tenant)
  end
end
if call('ZCARD', P .. ':tenants') ~= choice then
  disagree('tenants without a ready lane are in the choice', P)
end

-- While there are caps the index has every lease under its connection and its tenant, and nothing else.
local leased, has_caps, in_flight = call('ZRANGE', P .. ':leases', 0, -1), call('EXISTS', P .. ':caps') == 1, {}
for _, id in ipairs(leased) do
  local body = call('HGET', P .. ':jobs', id)
  local connection, tenant = string.sub(body, 19, 34), string.sub(body, 3, 18)
  for _, member in ipairs({ 'c' .. connection, 't' .. tenant }) do
    in_flight[member] = (in_flight[member] or 0) + 1
  end
  if has_caps and not (call('ZSCORE', P .. ':flight_c', connection .. id)
    and call('ZSCORE', P .. ':flight_t', tenant .. id)) then
    disagree('a lease is not in the index', id)
  end
end
for _, name in ipairs({ ':flight_c', ':flight_t' }) do
  if call('ZCARD', P .. name) ~= (has_caps and #leased or 0) then
    disagree('the index is not that of the leases', P)
  end
end
for _, member in ipairs(call('ZRANGE', P .. ':capped', 0, -1)) do
  local own, every = unpack(call('HMGET', P .. ':caps', member, string.sub(member, 1, 1)))
  if (in_flight[member] or 0) < tonumber(own or every or math.huge) then
    disagree('who is said to be at a cap has room', string.sub(member, 2))
  end
end

-- A tenant has what its bodies take, and '*' what all take.
local bodies, bytes = call('HGETALL', P .. ':jobs'), call('HGETALL', P .. ':bytes')
local taken = {}
for at = 1, #bodies, 2 do
  local body = bodies[at + 1]
  local tenant = string.sub(body, 3, 18)
  taken[tenant] = (taken[tenant] or 0) + #body
  taken['*'] = (taken['*'] or 0) + #body
end
for at = 1, #bytes, 2 do
  if taken[bytes[at]] ~= tonumber(bytes[at + 1]) then
    disagree('a tenant is said to have ' .. bytes[at + 1] .. ' bytes', bytes[at])
  end
  taken[bytes[at]] = nil
end
if next(taken) then
  disagree('a tenant is said to have no bytes', (next(taken)))
end

return {
  { call('HKEYS', P .. ':jobs'), call('HKEYS', P .. ':dead'), call('HKEYS', P .. ':dead_bodies') },
  queued,
  call('HGETALL', P .. ':ghosts'),
  call('ZRANGE', P .. ':due', 0, -1, 'WITHSCORES'),
  call('ZRANGE', P .. ':leases', 0, -1, 'WITHSCORES'),
  call('HGETALL', P .. ':holders'),
  call('SMEMBERS', P .. ':cancelled'),
  call('ZRANGE', P .. ':parked', 0, -1, 'WITHSCORES'),
  call('HKEYS', P .. ':trials'),
  disagreements,
}
