--[[ Shared by the scripts about Amazon's budget, put in front of them behind lane.lua: the plan in force, its bucket.
  A subject is 'c' application connection operation, or 'a' application operation: the application's limit over all
  its sellers, of which each of the class's shards has an equal part.
  A bucket is GCRA with T and τ of crates/domain/src/rate.rs, in µs: its value is the theoretical arrival time (TAT),
  when it will be full again. One that is not there is as it would be had it been empty when the nonce was
  established, behind the slots that were reserved by then, so that a full one need not be kept.
  What was learned of a subject's plan, JSON, rates per second and times in ms, absent where nothing is:
    d {rate, burst} the published plan    p {rate, burst} pinned by an operator: wins over all else
    r rate that Amazon reports            h the least of n higher ones seen in a row, the last at `at`
    c calls that 429s took off the burst, f what they left of the rate, t the last one: c and f are as of then and
    recover by 1 % of the whole a minute  u Amazon asked not to be called before     s since when anything is known
    g rate that 429s taught where nothing is published, as of t: doubles every ten minutes, forgotten after a hundred ]]
local PLANS = P .. ':plans' -- hash: subject → what was learned; absent if nothing was
local PINS = P .. ':pins' -- set: subjects whose plan is pinned, so that pins can be told without reading what was learned
local BUCKETS = P .. ':bucket:' -- string per life and subject: TAT, µs; expires a minute after it is full

-- The nonce's first digits tell lives of Redis apart; within one, `life` counts steps of its clock.
local function bucket_of(nonce, life, subject)
  return BUCKETS .. sub(nonce, 1, 8) .. '.' .. (life or '0') .. ':' .. subject
end

-- Rate and burst in force, and how much 429s still take off: calls of the burst, and a factor of the rate.
local function in_force(learned, rate, burst, now)
  if not learned then
    return rate, burst, 0, 1
  elseif learned.p then
    return learned.p[1], learned.p[2], 0, 1
  end
  local minutes = math.max(0, now / 1000 - (learned.t or 0)) / 60000
  if learned.g and not learned.r and rate <= 0 then
    return minutes < 100 and learned.g * 2 ^ (minutes / 10) or 0, burst, 0, 1
  end
  local cut = math.max(0, (learned.c or 0) - 0.01 * burst * minutes)
  return learned.r or rate, burst, cut, math.min(1, (learned.f or 1) + 0.01 * minutes)
end

-- T (interval), τ (tolerance) of a plan, or of one of its `parts`; nil without a plan.
-- uncertainty: J + p in s; drift: ρ. A part of less than one call takes turns with the others instead: its slots are
-- those of the whole plan whose number is `part` modulo `parts` (phase).
local function schedule(rate, burst, cut, factor, uncertainty, drift, parts, part)
  if rate <= 0 then
    return nil
  end
  local usable, flow = burst - rate * uncertainty, rate
  if usable < 1 then
    usable, flow = 1, math.min(rate, rate * math.floor(burst) / (1 + rate * uncertainty))
  end
  -- Rounded up, so that no plan is exceeded by rounding.
  local interval = math.floor(1000000 / (flow * (1 - drift) * factor)) + 1
  local share = math.max(1, usable - cut) / parts
  if share < 1 then
    return interval * parts, 0, interval * part
  end
  return interval * parts, math.floor((share - 1) * interval * parts)
end

-- An empty bucket's TAT.
local function empty(interval, tolerance, now)
  return now + tolerance + interval
end

-- A bucket's TAT, and whether it was further ahead than anything granted: then the clock went back. Without the clamp
-- the bucket would stay shut for as long. With it, it counts as empty after the last slot that may have been reserved
-- by the old time.
local function arrival(stored, interval, tolerance, established, now, horizon_us)
  -- Behind the last slot that may have been reserved before.
  local first = empty(interval, tolerance, established) + horizon_us -- guard buckets_start_empty: 0
  local tat = tonumber(stored) or first
  local furthest = empty(interval, tolerance, now) + horizon_us
  local clamped = tat > furthest
  tat = math.min(tat, furthest) -- guard clock_that_went_back: tat
  return tat, clamped
end

local function keep(bucket, tat, now)
  -- A minute longer than it matters: a key that went too early would give its budget away a second time.
  call('SET', bucket, tat, 'PX', math.ceil((tat - now) / 1000) + 60000)
end

-- Writes what was learned, or forgets it if it says no more than what is published.
local function remember(subject, learned, now)
  -- After 100 minutes everything has recovered.
  local throttled = learned.t and now / 1000 - learned.t < 6000000
  if learned.p or learned.r or learned.n or learned.u or throttled then
    learned.s = learned.s or math.floor(now / 1000)
    call('HSET', PLANS, subject, cjson.encode(learned))
  else
    call('HDEL', PLANS, subject)
  end
end
