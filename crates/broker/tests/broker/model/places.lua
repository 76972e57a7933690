--[[ What shard {sync.0} holds, read at once and past the broker: ids of jobs, of dead letters and of their bodies;
  queue and id of each entry of a queue, in their order; ghosts; due jobs and leases with their times; holders;
  cancelled jobs; parked lanes with their times; trials; and what disagrees with what: lanes with their queues, or with
  whether they are ready. ]]
local P = '{sync.0}'
local call = redis.call
local queued, disagreements = {}, {}

local function disagree(what, id)
  disagreements[#disagreements + 1] = what .. ' ' .. string.byte(id, 8)
end

for _, key in ipairs(call('KEYS', P .. ':queue:*')) do
  local name = string.sub(key, #P + 8)
  for _, id in ipairs(call('LRANGE', key, 0, -1)) do
    queued[#queued + 1] = name .. id
  end
  local lane = call('HGET', P .. ':lanes', string.sub(name, 1, 16))
  if not lane or not string.find(lane, string.sub(name, 17), 17, true) then
    disagree('a queue is unknown to its lane', name)
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
  local waits = call('ZSCORE', P .. ':parked', connection) or call('SISMEMBER', P .. ':paused', connection) == 1
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
  local held = call('SISMEMBER', P .. ':held', tenant) == 1
  local chosen = call('ZSCORE', P .. ':tenants', tenant)
  choice = choice + (chosen and 1 or 0)
  if held and chosen then
    disagree('a held tenant is in the choice', tenant)
  elseif not held and not chosen then
    disagree('a tenant with a ready lane is not in the choice', tenant)
  end
end
if call('ZCARD', P .. ':tenants') ~= choice then
  disagree('tenants without a ready lane are in the choice', P)
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
