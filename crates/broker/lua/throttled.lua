--[[ Amazon refused a call (429): the bucket is empty now, and holds one call less than was thought, for a day.
  KEYS[1]  the shard
  ARGV[1]  the time        ARGV[2]  application   ARGV[3]  connection   ARGV[4]  operation
  ARGV[5]  emission interval T, µs, > 0           ARGV[6]  tolerance τ, µs
  ARGV[7]  horizon H, µs   Several refusals within a second step down once.
  Returns 'EMPTIED' | 'NO_BOOT_NONCE' (then nothing may be called anyway). ]]
local now = now_us(ARGV[1])
local nonce = call('HGET', BOOT, 'nonce')
if not nonce then
  return 'NO_BOOT_NONCE'
end
local interval, tolerance, horizon_us = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local bucket = P .. ':bucket:' .. nonce .. ':' .. ARGV[2] .. ARGV[3] .. ARGV[4]
local stored = call('GET', bucket)
local tat, cut, cut_at = 0, 0, 0
if stored then
  tat, cut, cut_at = string.match(stored, '(%d+) (%d+) (%d+)')
  tat, cut, cut_at = tonumber(tat), tonumber(cut), tonumber(cut_at)
end
if now - cut_at >= 1000000 or now < cut_at then -- guard one_step_down_a_second: true
  cut = math.min(cut + 1, math.floor(tolerance / interval))
  cut_at = now
end
tolerance = math.max(0, tolerance - cut * interval)
local empty = now + tolerance + interval
-- Slots that are reserved ahead stay taken.
tat = math.max(empty, math.min(tat, empty + horizon_us))
call('SET', bucket, whole(tat) .. ' ' .. whole(cut) .. ' ' .. whole(cut_at),
  'PX', whole(math.max(86400000, math.ceil((tat - now) / 1000) + 60000)))
return 'EMPTIED'
