--[[ Amazon reported the rate of a plan: a lower one than is in force holds at once, a higher one after three sightings
  in a row, at least a second apart, and then the least of them.
  KEYS[1]  the shard
  ARGV[1]  the time        ARGV[2]  application   ARGV[3]  connection   ARGV[4]  operation
  ARGV[5]  rate per s, 0: no plan                 ARGV[6]  burst        published
  ARGV[7]  uncertainty J + p, s                   ARGV[8]  drift ρ      ARGV[9]  horizon H, µs
  ARGV[10] the reported rate per s, > 0
  The calls that the bucket lacks are the same before and after. Where nothing is published the plan begins with the
  first report, and an empty bucket.
  Returns 'SAME' | 'SEEN' (higher, not yet believed) | 'LOWERED' | 'RAISED' | 'PINNED' (nothing is learned) |
  'NO_BOOT_NONCE' (then nothing may be called anyway). ]]
local now = now_us(ARGV[1])
local nonce, established, life = unpack(call('HMGET', BOOT, 'nonce', 'established', 'life'))
if not nonce then
  return 'NO_BOOT_NONCE'
end
local subject = 'c' .. ARGV[2] .. ARGV[3] .. ARGV[4]
local published, burst = tonumber(ARGV[5]), tonumber(ARGV[6])
local uncertainty, drift = tonumber(ARGV[7]), tonumber(ARGV[8])
local horizon_us, reported = tonumber(ARGV[9]), tonumber(ARGV[10])
local stored = call('HGET', PLANS, subject)
local learned = stored and cjson.decode(stored) or {}
if learned.p then
  return 'PINNED'
end
learned.d = { published, burst }
local rate, size, cut, factor = in_force(learned, published, burst, now)

local now_ms = math.floor(now / 1000)
-- A pace that was only guessed from refusals is no plan.
local is_guess = published == 0 and not learned.r
local lower = is_guess or reported < rate * (1 - 1e-9)
-- Up to 1 % more may be nothing but rounding of the header.
if not lower and reported <= rate * 1.01 then
  if stored then
    learned.h, learned.n, learned.at = nil, nil, nil
    if learned.u and learned.u <= now_ms then
      learned.u = nil
    end
    remember(subject, learned, now)
  end
  return 'SAME'
end
if not lower then
  local since_ms = learned.at and now_ms - learned.at
  if since_ms and since_ms >= 0 and since_ms < 1000 then -- guard sightings_apart: false
    return 'SEEN'
  end
  learned.h, learned.n, learned.at = math.min(learned.h or reported, reported), (learned.n or 0) + 1, now_ms
  if learned.n < 3 then -- guard three_sightings: false
    remember(subject, learned, now)
    return 'SEEN'
  end
  reported = learned.h
end

learned.h, learned.n, learned.at = nil, nil, nil
learned.r, learned.g = reported, nil
if published > 0 and math.abs(reported - published) <= published * 1e-9 then
  learned.r = nil
end
remember(subject, learned, now)
local interval, tolerance = schedule(reported, size, cut, factor, uncertainty, drift, 1, 0)
local bucket, tat = bucket_of(nonce, life, subject), empty(interval, tolerance, now)
local old_interval, old_tolerance = schedule(rate, size, cut, factor, uncertainty, drift, 1, 0)
if old_interval then
  local old_tat = arrival(call('GET', bucket), old_interval, old_tolerance, established, now, horizon_us)
  local grown = math.max(0, tolerance / interval - old_tolerance / old_interval)
  tat = now + math.ceil((math.max(0, old_tat - now) / old_interval + grown) * interval)
end
keep(bucket, tat, now)
return lower and 'LOWERED' or 'RAISED'
