--[[ Vouch for the fences of this shard until a time: what Postgres said since, and no longer.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  boot nonce under which ARGV[3] was read
  ARGV[3]  from, µs: when the clock was read, before Postgres was   ARGV[4]  until, µs; empty: more fences follow
  ARGV[5…] for each fence: scope ('a' 't' or 'c' and the id), epoch, 'closed' or 'open'; up to 500
  Epochs are only ever raised. A tombstone is added unless its fence was released since it was read; only a release
  takes one away. A grant that lasts longer stays, unless it is of a time that this clock has not reached.
  Returns 'GRANTED' | 'OTHER_NONCE' (nothing is granted; what was read may be of an earlier life). ]]
local now = now_us(ARGV[1])
local nonce, from, till = unpack(call('HMGET', BOOT, 'nonce', 'from', 'until'))
if nonce ~= ARGV[2] then
  return 'OTHER_NONCE'
end
for n = 5, #ARGV, 3 do
  local scope, epoch = ARGV[n], tonumber(ARGV[n + 1])
  local known = tonumber(call('HGET', EPOCHS, scope) or 0)
  if epoch > known then
    call('HSET', EPOCHS, scope, ARGV[n + 1])
  end
  if ARGV[n + 2] == 'closed' and epoch >= known then
    call('SADD', STOPS, scope)
  end
end
if ARGV[4] ~= '' and not (from and tonumber(from) <= now and tonumber(till) >= tonumber(ARGV[4])) then
  call('HSET', BOOT, 'from', ARGV[3], 'until', ARGV[4])
end
return 'GRANTED'
