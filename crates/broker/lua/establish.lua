--[[ Begin a new life of this shard's permits: every bucket starts empty now, and fencing tokens go on above a floor.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  boot nonce   ARGV[3]  fencing floor, 16 digits
  Tombstones must have been written before. The same nonce again only raises the floor.
  Returns 'ESTABLISHED' | 'SAME_NONCE'. ]]
local now, last = now_us(ARGV[1]), tonumber(call('GET', TOKEN) or 0)
if tonumber(ARGV[3]) > last then -- guard floor_raises: false -- guard floor_only_raises: true
  call('SET', TOKEN, ARGV[3])
end
if call('HGET', BOOT, 'nonce') == ARGV[2] then -- guard same_nonce_empties_nothing: false
  return 'SAME_NONCE'
end
-- With it goes the grant of the life before.
call('DEL', BOOT)
call('HSET', BOOT, 'nonce', ARGV[2], 'established', whole(now), 'server', run_id())
return 'ESTABLISHED'
