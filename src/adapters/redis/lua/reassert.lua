-- Brings a hold back that this store lost: its counters hold its charges again, and its
-- spans go on from where they began. No limit is checked, because the hold was
-- admitted before it was lost, and what it may cost has to be kept free.
--
-- Why one script: an id that is known again must not be held twice.
--
-- KEYS  1 record, 2 leases of its home shard, 3.. hashes of the hold's budgets, concurrency counters and spans (rings
--       and buckets start anew)
-- ARGV  1 reservation id, 2 lease (ms), 3 record as it is to be,
--       then 6 per accumulator: kind, amount, limit, policy version, kept until (ms, 0 for ever), a (as in
--       reserve); the amount of a span is the instant at which it began (ms)
-- Reply {'reasserted'} or {'known', state letter}: then nothing was changed

local FIELDS = 6
local FIRST = 3

local known = redis.call('GET', KEYS[1])
if known then return {'known', string.sub(known, 1, 1)} end

-- The earlier beginning counts.
local function begin_span(key, began, at)
  local state = read_span(key, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
  began = math.min(began, state.began)
  local kept_until = began + state.limit + tonumber(ARGV[at + 6])
  if kept_until <= now_ms then return end
  redis.call('HSET', key, 'i', began)
  if state.store then redis.call('HSET', key, 'l', ARGV[at + 3], 'v', ARGV[at + 4]) end
  redis.call('PEXPIREAT', key, kept_until)
end

for i = 1, #KEYS - 2 do
  local at = FIRST + (i - 1) * FIELDS
  local key, kind, kept_until = KEYS[i + 2], ARGV[at + 1], ARGV[at + 5]
  -- The spend of a window that is no longer kept is on record in the audit log alone.
  if kind == 'd' then
    begin_span(key, tonumber(ARGV[at + 2]), at)
  elseif kept_until == '0' or tonumber(kept_until) > now_ms then
    local state = read_counter(key, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    redis.call('HINCRBY', key, 'r', ARGV[at + 2])
    if state.store then redis.call('HSET', key, 'l', ARGV[at + 3], 'v', ARGV[at + 4]) end
    if kept_until ~= '0' and not state.exists then redis.call('PEXPIREAT', key, kept_until) end
    if kind == 'b' and kept_until == '0' then keep_used(key, tonumber(ARGV[at + 6]), 0) end
    if kind == 'c' and state.exists and state.held == 0 then redis.call('PERSIST', key) end
  end
end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[2]), ARGV[1])
return {'reasserted'}
