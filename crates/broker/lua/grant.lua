--[[ Vouch for the fences of this shard until a time: what Postgres said since, and no longer.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  boot nonce under which ARGV[3] was read
  ARGV[3]  from, µs: when the clock was read, before Postgres was   ARGV[4]  until, µs; empty: more fences follow
  ARGV[5]  since when the caller knows that this clock was not set forward, µs by this clock
  ARGV[6…] for each fence: scope ('a' 't' or 'c' and the id), epoch, 'closed' or 'open'; up to 500
  Epochs are only ever raised. A tombstone is added unless its fence was released since it was read; only a release
  takes one away. A grant that lasts longer stays, unless it is of a time that this clock has not reached.
  Nobody may call without a grant. If none has been watching the clock since the last one ended, it may have been set
  forward meanwhile, and buckets seem fuller than they are: all of them begin empty now.
  Returns 'GRANTED' | 'EMPTIED' (granted, with empty buckets) | 'OTHER_NONCE' (nothing is granted; what was read may be
  of an earlier life). ]]
local now = now_us(ARGV[1])
local nonce, from, till = unpack(call('HMGET', BOOT, 'nonce', 'from', 'until'))
if nonce ~= ARGV[2] then -- guard grant_of_this_life: false
  return 'OTHER_NONCE'
end
for n = 6, #ARGV, 3 do
  local scope, epoch = ARGV[n], tonumber(ARGV[n + 1])
  local known, stopped = fence_of(call('HGET', FENCES, scope))
  local raised = math.max(known, epoch) -- guard epochs_only_rise: epoch
  local closes = not stopped and ARGV[n + 2] == 'closed'
    and epoch >= known -- guard released_is_not_stopped_again: true
  if raised ~= known or closes then
    call('HSET', FENCES, scope, ((stopped or closes) and '!' or '') .. whole(raised))
  end
end
if ARGV[4] == '' then
  return 'GRANTED'
end
local answer = 'GRANTED'
if till
  and tonumber(ARGV[5]) > tonumber(till) then -- guard unwatched_clock_empties: false
  call('HSET', BOOT, 'established', whole(now))
  call('HINCRBY', BOOT, 'life', 1)
  answer = 'EMPTIED'
end
local ends = ARGV[4] -- guard grant_is_absolute: whole(now + ARGV[4] - ARGV[3])
if not from or tonumber(from) > now
  or tonumber(till) < tonumber(ends) then -- guard longer_grant_stays: true
  call('HSET', BOOT, 'from', ARGV[3], 'until', ends)
end
return answer
