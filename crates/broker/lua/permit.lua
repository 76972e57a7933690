--[[ Grant the right to make one call: nothing stops it, the lease is the newest, and budget is left.
  KEYS[1]  the shard
  ARGV[1]  the time         ARGV[2]  job id         ARGV[3]  fencing token, 16 digits
  ARGV[4]  application      ARGV[5]  tenant         ARGV[6]  connection      ARGV[7]  operation
  ARGV[8]  emission interval T, µs; 0: no plan, only the stops are checked
  ARGV[9]  tolerance τ, µs  ARGV[10] horizon H within which a slot is reserved ahead, µs
  Checked in this order, taken only at the end: boot nonce, tombstones, (a grant and its epoch belong here), lease,
  bucket. The bucket is GCRA: a slot at max(now, TAT − τ), then TAT ← max(now, TAT) + T. A bucket that is not there
  is as it would be had it been empty when the nonce was established, so that a full one need not be kept.
  Returns 'GRANTED', µs until its slot (≤ H) | 'WAIT', µs until a slot can be had |
  'STOPPED', 'NO_BOOT_NONCE' | 'APPLICATION' | 'TENANT' | 'CONNECTION' | 'LEASE_LOST'. ]]
local now = now_us(ARGV[1])
local nonce, established = unpack(call('HMGET', BOOT, 'nonce', 'established'))
if not nonce then -- guard boot_nonce: false
  return { 'STOPPED', 'NO_BOOT_NONCE' }
end
local application, tenant, connection =
  unpack(call('SMISMEMBER', STOPS, 'a' .. ARGV[4], 't' .. ARGV[5], 'c' .. ARGV[6]))
if application == 1 then -- guard stopped_application: false
  return { 'STOPPED', 'APPLICATION' }
elseif tenant == 1 then -- guard stopped_tenant: false
  return { 'STOPPED', 'TENANT' }
elseif connection == 1 then -- guard stopped_connection: false
  return { 'STOPPED', 'CONNECTION' }
end
local holder, expiry = call('HGET', HOLDERS, ARGV[2]), call('ZSCORE', LEASES, ARGV[2])
if not holder or sub(holder, 1, 16) ~= ARGV[3] -- guard newest_lease_calls: not holder
  or tonumber(expiry or 0) <= now then -- guard expired_lease_does_not_call: false
  return { 'STOPPED', 'LEASE_LOST' }
end
local interval, tolerance, horizon_us = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
if interval == 0 then
  return { 'GRANTED', 0 }
end

local bucket = P .. ':bucket:' .. nonce .. ':' .. ARGV[4] .. ARGV[6] .. ARGV[7]
local stored = call('GET', bucket)
local tat, cut, cut_at = nil, 0, 0
if stored then
  tat, cut, cut_at = string.match(stored, '(%d+) (%d+) (%d+)')
  tat, cut = tonumber(tat), tonumber(cut)
end
tolerance = math.max(0, tolerance - cut * interval)
tat = tat or established + tolerance + interval
-- Further ahead than anything granted: the clock went back. Without the clamp the bucket would stay shut for as long.
-- With it, the bucket counts as empty after the last slot that may have been reserved by the old time.
local furthest = now + tolerance + interval + horizon_us
local clamped = tat > furthest
tat = math.min(tat, furthest) -- guard clock_that_went_back: tat
local wait = math.max(0, tat - tolerance - now)
local granted = wait <= horizon_us -- guard budget: true
if granted then
  tat = math.max(now, tat) + interval
end
if granted or clamped then
  -- A minute longer than it matters: a key that went too early would give its budget away a second time.
  local keep_ms = math.ceil((tat - now) / 1000) + 60000
  if cut > 0 then
    keep_ms = math.max(keep_ms, 86400000)
  end
  call('SET', bucket, whole(tat) .. ' ' .. whole(cut) .. ' ' .. cut_at, 'PX', whole(keep_ms))
end
return { granted and 'GRANTED' or 'WAIT', wait }
