--[[ Where jobs are. Writes nothing.
  KEYS[1]  the shard
  ARGV[1]  the time (unused)   ARGV[2…]  ids, at most 256
  Returns per id five strings: state, time in µs or '', text, body, trials or dead letter.
    RUNNING, lease's expiry, worker    DELAYED, when it may run
    PARKED, until when its lane waits    PAUSED    QUEUED    DEAD    ABSENT ]]
local reply = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local body = call('HGET', JOBS, id)
  local state, time, text, trials = 'ABSENT', '', '', ''
  if body then
    local connection = sub(body, 19, 34)
    trials = call('HGET', TRIALS, id) or ''
    state, time = 'RUNNING', call('ZSCORE', LEASES, id)
    if time then
      text = worker_of(call('HGET', HOLDERS, id) or '')
    else
      state, time = 'DELAYED', call('ZSCORE', DUE, id)
    end
    if not time and (call('SISMEMBER', PAUSED, connection) == 1
      or call('SISMEMBER', HELD, sub(body, 3, 18)) == 1 or call('SISMEMBER', HELD, '*') == 1) then
      state, time = 'PAUSED', ''
    end
    if not time then
      state, time = 'PARKED', call('ZSCORE', PARKED, connection)
    end
    if not time then
      state, time = 'QUEUED', ''
    end
  elseif call('HEXISTS', DEAD, id) == 1 then
    state, trials = 'DEAD', call('HGET', DEAD, id)
    body = call('HGET', DEAD_BODIES, id)
  end
  for _, part in ipairs({ state, time, text, body or '', trials }) do
    reply[#reply + 1] = part
  end
end
return reply
