--[[ Grant the right to make one call: nothing stops it, the lease is the newest, and budget is left.
  KEYS[1]  the shard
  ARGV[1]  the time         ARGV[2]  job id         ARGV[3]  fencing token, 16 digits
  ARGV[4]  application      ARGV[5]  tenant         ARGV[6]  connection      ARGV[7]  operation
  ARGV[8]  the job's priority: from 8 on it leaves half of the connection's burst to those before it
  ARGV[9]  rate per s, 0: no plan      ARGV[10] burst           published for the connection
  ARGV[11] rate per s, 0: no limit     ARGV[12] burst           published for the application
  ARGV[13] uncertainty of a call's time J + p, s                ARGV[14] drift ρ
  ARGV[15] horizon H within which a slot is reserved ahead, µs
  ARGV[16] shards of the class         ARGV[17] number of this one
  ARGV[18] sum of the epochs of application, tenant and connection when the call's credentials were read
  Checked in this order, taken only at the end: boot nonce, tombstones, grant, epoch, lease, buckets of the connection
  and of the application, all or none: a slot when the last of them has one, then in each TAT ← max(slot, TAT) + T.
  Returns 'GRANTED', µs until its slot (≤ H) | 'WAIT', µs until a slot can be had or reserved |
  'STOPPED', 'NO_BOOT_NONCE' | 'APPLICATION' | 'TENANT' | 'CONNECTION' | 'NO_GRANT' | 'EPOCH' | 'LEASE_LOST'. ]]
local now = now_us(ARGV[1])
local nonce, established, life, from, till =
  unpack(call('HMGET', BOOT, 'nonce', 'established', 'life', 'from', 'until'))
if not nonce then -- guard boot_nonce: false
  return { 'STOPPED', 'NO_BOOT_NONCE' }
end
local scopes = { 'a' .. ARGV[4], 't' .. ARGV[5], 'c' .. ARGV[6] }
local application, tenant, connection = unpack(call('SMISMEMBER', STOPS, unpack(scopes)))
if application == 1 then -- guard stopped_application: false
  return { 'STOPPED', 'APPLICATION' }
elseif tenant == 1 then -- guard stopped_tenant: false
  return { 'STOPPED', 'TENANT' }
elseif connection == 1 then -- guard stopped_connection: false
  return { 'STOPPED', 'CONNECTION' }
end
if not from
  or tonumber(from) > now -- guard grant_of_a_later_clock: false
  or tonumber(till) <= now then -- guard grant_ends: false
  -- One that begins later is of a clock that has gone back since.
  return { 'STOPPED', 'NO_GRANT' }
end
local epoch = 0
for _, known in ipairs(call('HMGET', EPOCHS, unpack(scopes))) do
  epoch = epoch + (tonumber(known or 0))
end
if epoch ~= tonumber(ARGV[18]) then -- guard current_epoch: false
  return { 'STOPPED', 'EPOCH' }
end
local holder, expiry = call('HGET', HOLDERS, ARGV[2]), call('ZSCORE', LEASES, ARGV[2])
if not holder or sub(holder, 1, 16) ~= ARGV[3] -- guard newest_lease_calls: not holder
  or tonumber(expiry or 0) <= now then -- guard expired_lease_does_not_call: false
  return { 'STOPPED', 'LEASE_LOST' }
end

local margins, horizon_us = { tonumber(ARGV[13]), tonumber(ARGV[14]) }, tonumber(ARGV[15])
local own, shared = 'c' .. ARGV[4] .. ARGV[6] .. ARGV[7], 'a' .. ARGV[4] .. ARGV[7]
local learned = call('HMGET', PLANS, own, shared)
local plans, buckets, slot = {}, {}, now
for n, subject in ipairs({ own, shared }) do
  local about = learned[n] and cjson.decode(learned[n])
  local rate, burst, cut, factor = in_force(about, tonumber(ARGV[7 + 2 * n]), tonumber(ARGV[8 + 2 * n]), now)
  local parts, part = 1, 0
  if n == 2 then
    parts, part = tonumber(ARGV[16]), tonumber(ARGV[17])
  end
  local plan = schedule(rate, burst, cut, factor, margins, parts, part)
  if plan then
    table.insert(plans, plan)
    table.insert(buckets, bucket_of(nonce, life, subject))
  end
  if about and about.u then
    -- An hour at most: the clock may have gone back since.
    slot = math.max(slot, math.min(about.u * 1000, now + 3600000000))
  end
end
local stored = plans[1] and call('MGET', unpack(buckets))
for n, plan in ipairs(plans) do
  plan.tat, plan.clamped = arrival(stored[n], plan, tonumber(established), now, horizon_us)
  local tolerance = plan.tolerance
  if tonumber(ARGV[8]) >= 8 then -- guard backfill_leaves_half: false
    -- τ less half of the burst T + τ, but never less than a full bucket's one call.
    tolerance = math.max(0, math.floor((tolerance - plan.interval) / 2))
  end
  slot = math.max(slot, plan.tat - tolerance)
end
local ask_at
for _, plan in ipairs(plans) do
  if plan.phase then -- guard shards_take_turns: false
    slot = plan.phase + math.ceil((slot - plan.phase) / plan.interval) * plan.interval
    -- A turn missed by a moment is missed: who waits for it asks when it can be reserved.
    ask_at = slot - horizon_us / 2
  end
end

local granted = slot - now <= horizon_us -- guard budget: true
for n, plan in ipairs(plans) do
  local taken = granted -- guard both_are_taken: granted and n == 1
  if taken then
    plan.tat = math.max(slot, plan.tat) + plan.interval
  end
  if taken or plan.clamped then
    keep(buckets[n], plan.tat, now)
  end
end
if granted then
  return { 'GRANTED', slot - now }
end
return { 'WAIT', (ask_at or slot) - now }
