--[[ What shard {sync.0} holds, for the invariants' test: ids of jobs and dead letters; queue and id of entries and
  ghosts; ids of due jobs, leases, holders; how many lanes disagree with what is in them or with whether they are
  ready, and how many tenants' bytes with the bodies of their jobs. ]]
local P = '{sync.0}'
local queued, disagreements = {}, 0
local ready_tenants = {}
for _, key in ipairs(redis.call('KEYS', P .. ':queue:*')) do
  for _, id in ipairs(redis.call('LRANGE', key, 0, -1)) do
    queued[#queued + 1] = string.sub(key, #P + 8) .. id
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
  local ready = redis.call('ZSCORE', P .. ':ready:' .. tenant, connection .. string.sub(lanes[at + 1], 17, 17))
  if (waits and ready) or (not waits and not ready) then
    disagreements = disagreements + 1
  end
  if ready then
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
local bodies = redis.call('HVALS', P .. ':jobs')
local bytes, tenants_with_jobs = {}, 0
for _, body in ipairs(bodies) do
  local tenant = string.sub(body, 3, 18)
  tenants_with_jobs = tenants_with_jobs + (bytes[tenant] and 0 or 1)
  bytes[tenant] = (bytes[tenant] or 0) + #body
end
for tenant, sum in pairs(bytes) do
  if tonumber(redis.call('HGET', P .. ':bytes', tenant)) ~= sum then
    disagreements = disagreements + 1
  end
end
if redis.call('HLEN', P .. ':bytes') ~= tenants_with_jobs then
  disagreements = disagreements + 1
end
return {
  redis.call('HKEYS', P .. ':jobs'),
  redis.call('HKEYS', P .. ':dead'),
  queued,
  redis.call('HGETALL', P .. ':ghosts'),
  redis.call('ZRANGE', P .. ':due', 0, -1),
  redis.call('ZRANGE', P .. ':leases', 0, -1),
  redis.call('HKEYS', P .. ':holders'),
  disagreements,
}
