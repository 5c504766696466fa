-- Brings a hold back that this store lost: its counters hold its charges again. No limit is checked, because the hold was
-- admitted before it was lost, and what it may cost has to be kept free.
--
-- Why one script: an id that is known again must not be held twice.
--
-- KEYS  1 record, 2 leases of its home shard, 3.. hashes of the hold's budgets and concurrency counters (rings and
--       buckets start anew)
-- ARGV  1 reservation id, 2 lease (ms), 3 record as it is to be,
--       then 5 per accumulator: kind, amount, limit, policy version, kept until (ms, 0 for ever)
-- Reply {'reasserted'} or {'known', state letter}: then nothing was changed

local FIELDS = 5
local FIRST = 3

local known = redis.call('GET', KEYS[1])
if known then return {'known', string.sub(known, 1, 1)} end

for i = 1, #KEYS - 2 do
  local at = FIRST + (i - 1) * FIELDS
  local key, kind, kept_until = KEYS[i + 2], ARGV[at + 1], ARGV[at + 5]
  -- The spend of a window that is no longer kept is on record in the audit log alone.
  if kept_until == '0' or tonumber(kept_until) > now_ms then
    local state = read_counter(key, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    redis.call('HINCRBY', key, 'r', ARGV[at + 2])
    if state.store then redis.call('HSET', key, 'l', ARGV[at + 3], 'v', ARGV[at + 4]) end
    if kept_until ~= '0' and not state.exists then redis.call('PEXPIREAT', key, kept_until) end
    if kind == 'c' and state.exists and state.held == 0 then redis.call('PERSIST', key) end
  end
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[2]), ARGV[1])
return {'reasserted'}
