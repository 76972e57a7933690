--[[ Cancel jobs that live.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2…]  ids, at most 256
  One in flight is told at its next renewal, which a message on TOLD asks for now, and forgotten when its lease ends.
  The entry of a queued one stays in its queue as a ghost, which a fetch clears away: queues are not searched. For each
  new ghost two entries of its queue are swept.
  Returns per id 'REMOVED' | 'TOLD' | 'ABSENT'. ]]
local reply, told = {}, false
for at = 2, #ARGV do
  local id = ARGV[at]
  local body = call('HGET', JOBS, id)
  if not body then
    reply[at - 1] = 'ABSENT'
  elseif call('ZSCORE', LEASES, id) then -- guard running_is_told: false
    call('SADD', CANCELLED, id)
    reply[at - 1] = 'TOLD'
    told = true
  else
    if call('ZREM', DUE, id) == 0 then -- guard delayed_leaves_no_ghost: true
      haunt(id, body)
    end
    forget(id, body)
    reply[at - 1] = 'REMOVED'
  end
end
sweep_haunted() -- guard ghosts_are_swept: haunted = {}
settle_bytes()
if told then
  call('PUBLISH', TOLD, '')
end
return reply
