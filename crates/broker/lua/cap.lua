--[[ Set a cap on what is in flight, or lift it. Repeated with the cursor that is answered until that says 'DONE'.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2]  'c' connection or 't' tenant; 'c' or 't' alone for every one without its own
  ARGV[3]  most in flight in this shard, or '' for no cap      ARGV[4]  cursor, '0' at first
  The first cap begins the index of leases by connection and tenant: those that exist are taken into it page by page,
  and only then does the cap hold, so that it never counts too few. Who was at a cap and is not any more comes back,
  page by page. With the last cap the index ends. Field 'i' of CAPS keeps the index while there is no cap.
  Returns 'DONE' | 'MORE', cursor. ]]
local field, most, cursor = ARGV[2], ARGV[3], ARGV[4]
local PAGE = 128

-- Every other one of a page of a sorted set.
local function members(page)
  local found = {}
  for at = 1, #page, 2 do
    found[#found + 1] = page[at]
  end
  return found
end

-- What is in the index is leased: it lacks nothing if it has as many.
local function lacks_some()
  return call('ZCARD', FLIGHT_C) < call('ZCARD', LEASES)
end

if most ~= '' and lacks_some() then -- guard cap_counts_what_was_before: false
  call('HSET', CAPS, 'i', 1)
  local page = call('ZSCAN', LEASES, cursor, 'COUNT', PAGE)
  local ids = members(page[2])
  local bodies = #ids > 0 and call('HMGET', JOBS, unpack(ids))
  for n, id in ipairs(ids) do
    local connection, tenant = owners(bodies[n])
    call('ZADD', FLIGHT_C, 0, connection .. id)
    call('ZADD', FLIGHT_T, 0, tenant .. id)
  end
  if lacks_some() then
    return { 'MORE', page[1] }
  end
  cursor = '0'
end

local none = false
if most ~= '' then
  call('HSET', CAPS, field, most)
  call('HDEL', CAPS, 'i')
elseif call('EXISTS', CAPS) == 1 then
  call('HSET', CAPS, 'i', 1)
  call('HDEL', CAPS, field)
  none = call('HLEN', CAPS) == 1
  if not none then
    call('HDEL', CAPS, 'i')
  end
end

local page = { '0', { field, 0 } }
if #field == 1 or none then
  page = call('ZSCAN', CAPPED, cursor, 'COUNT', PAGE)
end
local before = horizon()
for _, member in ipairs(members(page[2])) do
  uncap(sub(member, 1, 1), sub(member, 2))
end
announce(before)
if page[1] ~= '0' or none and call('EXISTS', CAPPED) == 1 then
  return { 'MORE', page[1] }
end
if none then
  call('UNLINK', CAPS, FLIGHT_C, FLIGHT_T)
end
return { 'DONE' }
