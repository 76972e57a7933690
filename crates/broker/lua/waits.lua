--[[ Add to this hour's histogram of waits.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2…]  tenant and bucket (one byte), how many starts to add; at most 256 pairs
  It expires two hours after its first. Said twice, it counts twice.
  Returns 'ADDED'. ]]
local key = WAITS .. whole(math.floor(now_us(ARGV[1]) / 3600000000))
for at = 2, #ARGV, 2 do
  call('HINCRBY', key, ARGV[at], ARGV[at + 1])
end
call('EXPIRE', key, 7200, 'NX')
return 'ADDED'
