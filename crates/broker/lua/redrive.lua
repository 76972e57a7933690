--[[ Queue dead letters again, their failures and crashes forgiven; their history stays.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2…]  ids, at most 256
  They come back also to a tenant above its high-water mark.
  Returns per id 'REDRIVEN' | 'ABSENT' | 'EXISTS' (a job of the same id lives; the dead letter stays). ]]
local now, reply, before = now_us(ARGV[1]), {}, horizon()
for at = 2, #ARGV do
  local id = ARGV[at]
  local letter, body = call('HGET', DEAD, id), call('HGET', DEAD_BODIES, id)
  if not letter or not body then
    reply[at - 1] = 'ABSENT'
  elseif call('HEXISTS', JOBS, id) == 1 then -- guard living_is_not_redriven: false
    reply[at - 1] = 'EXISTS'
  else
    local history = cjson.decode(letter).h
    table.insert(history, { at = math.floor(now / 1000), e = 'REDRIVEN', w = '', r = '' })
    call('HDEL', DEAD, id)
    call('HDEL', DEAD_BODIES, id)
    call('HSET', JOBS, id, body)
    grow(sub(body, 3, 18), #body)
    local trials = cjson.encode({ f = 0, c = 0, h = history }) -- guard redrive_forgives: letter
    call('HSET', TRIALS, id, trials)
    queue('RPUSH', id, body)
    reply[at - 1] = 'REDRIVEN'
  end
end
settle_bytes()
announce(before)
return reply
