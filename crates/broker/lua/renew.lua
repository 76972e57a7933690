--[[ Extend leases to `visibility` from now. A lease that has expired, even if nobody reaped it, is lost.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  visibility timeout, µs   ARGV[3…] per lease: id, fencing token (16 digits); at most 256
  Returns per lease 'EXTENDED' | 'LOST' | 'CANCELLED' (extended, but the job is not wanted any more). ]]
local now = now_us(ARGV[1])
local expires = now + tonumber(ARGV[2])
local ids = {}
for at = 3, #ARGV, 2 do
  ids[#ids + 1] = ARGV[at]
end
local holders = call('HMGET', HOLDERS, unpack(ids))
local expiries = call('ZMSCORE', LEASES, unpack(ids))
local cancelled = call('EXISTS', CANCELLED) == 1
local reply, extended = {}, {}
for n, id in ipairs(ids) do
  local holder, expiry = holders[n], tonumber(expiries[n] or 0)
  if not holder or sub(holder, 1, 16) ~= ARGV[2 * n + 2] -- guard newest_lease_renews: not holder
    or expiry <= now then -- guard expired_lease_is_lost: false
    reply[n] = 'LOST'
  else
    extended[#extended + 1] = expires
    extended[#extended + 1] = id
    local unwanted = cancelled and call('SISMEMBER', CANCELLED, id) == 1 -- guard renewal_tells_of_a_cancel: false
    reply[n] = unwanted and 'CANCELLED' or 'EXTENDED'
  end
end
if #extended > 0 then
  call('ZADD', LEASES, unpack(extended))
end
return reply
