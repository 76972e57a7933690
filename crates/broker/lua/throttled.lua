--[[ Amazon refused a call (429): the bucket is empty now, and holds one call less than was thought; if it refused one
  shortly before, the rate is a tenth less too. Both recover by 1 % of the whole a minute. Where nothing is published for
  a connection, refusals teach a pace: one to begin with, half of it with each further one, down to a 32nd of the first.
  KEYS[1]  the shard
  ARGV[1]  the time        ARGV[2]  application   ARGV[4]  operation
  ARGV[3]  connection; empty: the limit of the application over all its sellers
  ARGV[5]  rate per s, 0: no plan                 ARGV[6]  burst        published
  ARGV[7]  uncertainty J + p, s                   ARGV[8]  drift ρ      ARGV[9]  horizon H, µs
  ARGV[10] not to be called for, µs (Retry-After); 0 if Amazon did not say
  ARGV[11] first pace per s
  ARGV[12] shards that have a part of the bucket     ARGV[13] number of this one
  Refusals within a second of each other, of calls that were under way together, step down once. *Shortly* is within
  ten T, or a minute if that is longer. A pinned plan does not step down.
  Returns 'EMPTIED' | 'NO_BOOT_NONCE' (then nothing may be called anyway). ]]
local now = now_us(ARGV[1])
local nonce, established, life = unpack(call('HMGET', BOOT, 'nonce', 'established', 'life'))
if not nonce then
  return 'NO_BOOT_NONCE'
end
local of_application = ARGV[3] == ''
local subject = (of_application and 'a' or 'c') .. ARGV[2] .. ARGV[3] .. ARGV[4]
local parts, part = tonumber(ARGV[12]), tonumber(ARGV[13])
local published, burst = tonumber(ARGV[5]), tonumber(ARGV[6])
local uncertainty, drift = tonumber(ARGV[7]), tonumber(ARGV[8])
local horizon_us, pause_us = tonumber(ARGV[9]), tonumber(ARGV[10])
local stored = call('HGET', PLANS, subject)
local learned = stored and cjson.decode(stored) or {}
learned.d = { published, burst }

local now_ms = math.floor(now / 1000)
local rate, size, cut, factor = in_force(learned, published, burst, now)
local interval, tolerance = schedule(rate, size, cut, factor, uncertainty, drift, parts, part)
local published_or_reported = (learned.p or learned.r or published > 0) and true
local since_ms = learned.t and now_ms - learned.t
if not learned.p
  and (not since_ms or since_ms < 0 or since_ms >= 1000) then -- guard one_step_down_a_second: true
  if published_or_reported then
    local usable = size - rate * uncertainty
    learned.c = math.min(cut + 1, math.max(0, usable - 1))
    learned.f = factor
    if interval and since_ms and since_ms >= 0
      and since_ms < math.max(60000, interval / parts / 100) then -- guard first_refusal_leaves_the_rate: true
      learned.f = math.max(0.01, factor * 0.9)
    end
  elseif not of_application then -- guard refusals_teach_a_pace: false
    local first = tonumber(ARGV[11])
    learned.g = math.max(first / 32, rate > 0 and rate / 2 or first)
  end
  learned.t = now_ms
elseif learned.p then -- guard steps_go_on: true
  learned.t = now_ms
end
learned.h, learned.n, learned.at = nil, nil, nil
if not published_or_reported then
  pause_us = math.max(pause_us, 1000000)
end
learned.u = pause_us > 0 and math.ceil((now + pause_us) / 1000) or nil
remember(subject, learned, now)
rate, size, cut, factor = in_force(learned, published, burst, now)
local stepped, stepped_tolerance = schedule(rate, size, cut, factor, uncertainty, drift, parts, part)
if stepped then
  local bucket = bucket_of(nonce, life, subject)
  local bottom = empty(stepped, stepped_tolerance, now)
  -- Slots that are reserved ahead stay taken.
  local tat = interval and arrival(call('GET', bucket), interval, tolerance, established, now, horizon_us) or bottom
  keep(bucket, math.max(bottom, math.min(tat, bottom + horizon_us)), now)
end
return 'EMPTIED'
