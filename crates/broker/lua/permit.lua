--[[ Grant the right to make one call: nothing stops it, the lease is the newest, and budget is left.
  KEYS[1]  the shard
  ARGV[1]  the time         ARGV[2]  job id         ARGV[3]  fencing token, 16 digits
  ARGV[4]  application      ARGV[5]  tenant         ARGV[6]  connection      ARGV[7]  operation
  ARGV[8]  the terms, eleven doubles in one argument, which is read faster than eleven:
           rate per s, 0: no plan, and burst           published for the connection
           rate per s, 0: no limit, and burst          published for the application
           uncertainty of a call's time J + p, s       drift ρ
           horizon H within which a slot is reserved ahead, µs
           shards of the class                         number of this one
           the job's priority: from 8 on it leaves half of the connection's burst to those before it
           sum of the epochs of application, tenant and connection when the call's credentials were read
  Checked in this order, taken only at the end: boot nonce, tombstones, grant, epoch, lease, buckets of the connection
  and of the application, all or none: a slot when the last of them has one, then in each TAT ← max(slot, TAT) + T.
  Returns 'GRANTED', µs until its slot (≤ H) | 'WAIT', µs until a slot can be had or reserved |
  'STOPPED', 'NO_BOOT_NONCE' | 'APPLICATION' | 'TENANT' | 'CONNECTION' | 'NO_GRANT' | 'EPOCH' | 'LEASE_LOST'. ]]
local application, connection, operation = ARGV[4], ARGV[6], ARGV[7]
local rate, burst, limit_rate, limit_burst, uncertainty, drift, horizon_us, shards, shard, priority, epoch =
  struct.unpack('<ddddddddddd', ARGV[8])
local now = now_us(ARGV[1])
local boot = call('HMGET', BOOT, 'nonce', 'established', 'life', 'from', 'until')
local nonce, established, life, from, till = boot[1], boot[2], boot[3], boot[4], boot[5]
if not nonce then -- guard boot_nonce: false
  return { 'STOPPED', 'NO_BOOT_NONCE' }
end
local fences = call('HMGET', FENCES, 'a' .. application, 't' .. ARGV[5], 'c' .. connection)
local epoch_a, stopped_a = fence_of(fences[1])
local epoch_t, stopped_t = fence_of(fences[2])
local epoch_c, stopped_c = fence_of(fences[3])
if stopped_a then -- guard stopped_application: false
  return { 'STOPPED', 'APPLICATION' }
elseif stopped_t then -- guard stopped_tenant: false
  return { 'STOPPED', 'TENANT' }
elseif stopped_c then -- guard stopped_connection: false
  return { 'STOPPED', 'CONNECTION' }
end
if not from
  or tonumber(from) > now -- guard grant_of_a_later_clock: false
  or tonumber(till) <= now then -- guard grant_ends: false
  -- One that begins later is of a clock that has gone back since.
  return { 'STOPPED', 'NO_GRANT' }
end
if epoch_a + epoch_t + epoch_c ~= epoch then -- guard current_epoch: false
  return { 'STOPPED', 'EPOCH' }
end
local holder, expiry = call('HGET', HOLDERS, ARGV[2]), call('ZSCORE', LEASES, ARGV[2])
if not holder or sub(holder, 1, 16) ~= ARGV[3] -- guard newest_lease_calls: not holder
  or tonumber(expiry or 0) <= now then -- guard expired_lease_does_not_call: false
  return { 'STOPPED', 'LEASE_LOST' }
end

local slot = now
-- T, τ and phase of what is in force of a published plan, and what keeps every slot from coming earlier.
local function terms(stored, rate, burst, parts, part)
  local learned = stored and cjson.decode(stored)
  if learned and learned.u then
    -- An hour at most: the clock may have gone back since.
    slot = math.max(slot, math.min(learned.u * 1000, now + 3600000000))
  end
  local rate, burst, cut, factor = in_force(learned, rate, burst, now)
  return schedule(rate, burst, cut, factor, uncertainty, drift, parts, part)
end

-- How far the bucket may be ahead for this job.
local function reach(interval, tolerance)
  if priority >= 8 then -- guard backfill_leaves_half: false
    -- τ less half of the burst T + τ, but never less than a full bucket's one call.
    return math.max(0, math.floor((tolerance - interval) / 2))
  end
  return tolerance
end

local own, shared = 'c' .. application .. connection .. operation, 'a' .. application .. operation
local learned = call('HMGET', PLANS, own, shared)
local interval, tolerance = terms(learned[1], rate, burst, 1, 0)
local bucket, tat, clamped
if interval then
  bucket = bucket_of(nonce, life, own)
  tat, clamped = arrival(call('GET', bucket), interval, tolerance, established, now, horizon_us)
  slot = math.max(slot, tat - reach(interval, tolerance))
end
-- The application's, which few operations have.
local limit_interval, limit_tolerance, phase = terms(learned[2], limit_rate, limit_burst, shards, shard)
local limit, limit_tat, limit_clamped
if limit_interval then
  limit = bucket_of(nonce, life, shared)
  limit_tat, limit_clamped =
    arrival(call('GET', limit), limit_interval, limit_tolerance, established, now, horizon_us)
  slot = math.max(slot, limit_tat - reach(limit_interval, limit_tolerance))
end
local ask_at
if phase then -- guard shards_take_turns: false
  slot = phase + math.ceil((slot - phase) / limit_interval) * limit_interval
  -- A turn missed by a moment is missed: who waits for it asks when it can be reserved.
  ask_at = slot - horizon_us / 2
end

local granted = slot - now <= horizon_us -- guard budget: true
if granted and bucket then
  keep(bucket, math.max(slot, tat) + interval, now)
elseif clamped then
  keep(bucket, tat, now)
end
if granted and limit then -- guard both_are_taken: false
  keep(limit, math.max(slot, limit_tat) + limit_interval, now)
elseif limit_clamped then
  keep(limit, limit_tat, now)
end
if granted then
  return { 'GRANTED', slot - now }
end
return { 'WAIT', (ask_at or slot) - now }
