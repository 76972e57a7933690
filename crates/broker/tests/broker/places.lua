--[[ What shard {sync.0} holds, for the invariants' test: ids of jobs, dead letters, entries of queues, ghosts, due
  jobs, leases, holders; and how many lanes, tenants and entries of the index of leases disagree with the rest. ]]
local P = '{sync.0}'
local queued, disagreements = {}, 0
local ready_tenants = {}
local function capped(kind, id)
  return redis.call('ZSCORE', P .. ':capped', kind .. id)
end
for _, key in ipairs(redis.call('KEYS', P .. ':queue:*')) do
  for _, id in ipairs(redis.call('LRANGE', key, 0, -1)) do
    queued[#queued + 1] = id
  end
  local connection, priority = string.sub(key, #P + 8, #P + 23), string.sub(key, #P + 24)
  local lane = redis.call('HGET', P .. ':lanes', connection)
  if not lane or not string.find(lane, priority, 17, true) then
    disagreements = disagreements + 1
  end
end
local lanes = redis.call('HGETALL', P .. ':lanes')
for at = 1, #lanes, 2 do
  local connection, tenant = lanes[at], string.sub(lanes[at + 1], 1, 16)
  for digit = 17, #lanes[at + 1] do
    if redis.call('EXISTS', P .. ':queue:' .. connection .. string.sub(lanes[at + 1], digit, digit)) == 0 then
      disagreements = disagreements + 1
    end
  end
  local waits = redis.call('ZSCORE', P .. ':parked', connection)
    or redis.call('SISMEMBER', P .. ':paused', connection) == 1
    or capped('c', connection)
  local ready = redis.call('ZSCORE', P .. ':ready:' .. tenant, connection .. string.sub(lanes[at + 1], 17, 17))
  if (waits and ready) or (not waits and not ready) then
    disagreements = disagreements + 1
  end
  if ready and not capped('t', tenant) and redis.call('SISMEMBER', P .. ':held', tenant) == 0 then
    ready_tenants[tenant] = true
  end
end
local tenants = 0
for tenant in pairs(ready_tenants) do
  tenants = tenants + 1
  if not redis.call('ZSCORE', P .. ':tenants', tenant) then
    disagreements = disagreements + 1
  end
end
if redis.call('ZCARD', P .. ':tenants') ~= tenants then
  disagreements = disagreements + 1
end
-- While there are caps the index has every lease under its connection and its tenant, and nothing else.
local leased = redis.call('ZRANGE', P .. ':leases', 0, -1)
local has_caps = redis.call('EXISTS', P .. ':caps') == 1
local in_flight = {}
for _, id in ipairs(leased) do
  local body = redis.call('HGET', P .. ':jobs', id)
  local connection, tenant = string.sub(body, 19, 34), string.sub(body, 3, 18)
  for _, member in ipairs({ 'c' .. connection, 't' .. tenant }) do
    in_flight[member] = (in_flight[member] or 0) + 1
  end
  if has_caps and not (redis.call('ZSCORE', P .. ':flight_c', connection .. id)
    and redis.call('ZSCORE', P .. ':flight_t', tenant .. id)) then
    disagreements = disagreements + 1
  end
end
for _, name in ipairs({ ':flight_c', ':flight_t' }) do
  if redis.call('ZCARD', P .. name) ~= (has_caps and #leased or 0) then
    disagreements = disagreements + 1
  end
end
-- Who is capped has no room.
for _, member in ipairs(redis.call('ZRANGE', P .. ':capped', 0, -1)) do
  local own, every = unpack(redis.call('HMGET', P .. ':caps', member, string.sub(member, 1, 1)))
  if (in_flight[member] or 0) < tonumber(own or every or math.huge) then
    disagreements = disagreements + 1
  end
end
return {
  redis.call('HKEYS', P .. ':jobs'),
  redis.call('HKEYS', P .. ':dead'),
  queued,
  redis.call('HGETALL', P .. ':ghosts'),
  redis.call('ZRANGE', P .. ':due', 0, -1),
  leased,
  redis.call('HKEYS', P .. ':holders'),
  disagreements,
}
