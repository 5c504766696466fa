-- Tells one shard what a log settled before this epoch, and when runs of its began.
--
-- Why one script: a command that is sent again over a new connection must not add twice.
--
-- KEYS  1 marks of what was told (hash), 2.. one hash per accumulator
-- ARGV  1 mark of this part, 2 life of the marks (ms), then 3 per accumulator: 'settled' or 'began', amount or instant (ms),
--       kept until (ms, 0 for ever)
-- Reply {'added'} or {'again'}

local FIELDS = 3
local FIRST = 2

if redis.call('HSETNX', KEYS[1], ARGV[1], 1) == 0 then return {'again'} end
redis.call('PEXPIREAT', KEYS[1], now_ms + tonumber(ARGV[2]))

local function tell(key, kind, value)
  if kind == 'settled' then
    redis.call('HINCRBY', key, 's', value)
    return redis.call('HINCRBY', key, 'r', 0)
  end
  -- The earlier beginning counts.
  local began = tonumber(redis.call('HGET', key, 'i'))
  if not began or tonumber(value) < began then redis.call('HSET', key, 'i', value) end
end

for i = 2, #KEYS do
  local at = FIRST + (i - 2) * FIELDS
  local key, kept_until = KEYS[i], ARGV[at + 3]
  if kept_until == '0' or tonumber(kept_until) > now_ms then
    -- -2 when it is not there, -1 when it is kept for ever.
    local left = redis.call('PTTL', key)
    tell(key, ARGV[at + 1], ARGV[at + 2])
    if kept_until ~= '0' and left ~= -1 and now_ms + left < tonumber(kept_until) then
      redis.call('PEXPIREAT', key, kept_until)
    end
  end
end
return {'added'}
