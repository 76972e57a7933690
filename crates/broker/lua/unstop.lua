--[[ Take a scope's tombstone away after its epoch was raised in Postgres: who read credentials before is turned away.
  KEYS[1]  the shard
  ARGV[1]  the time   ARGV[2]  scope: 'a' 't' or 'c' and the id   ARGV[3]  the epoch of its release
  An epoch is only ever raised, and a release of one that is older than what is known changes nothing.
  Returns 'RELEASED' | 'OLDER'. ]]
local known = fence_of(call('HGET', FENCES, ARGV[2]))
if tonumber(ARGV[3]) < known then -- guard late_release: false
  return 'OLDER'
end
call('HSET', FENCES, ARGV[2], ARGV[3])
return 'RELEASED'
