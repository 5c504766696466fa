-- Charges a hold in full whose lease has run out, and frees its places. Never releases money: the call may have been
-- billed, and nobody is left who knows. A late settlement corrects the charge by the difference.
--
-- Why one script: the lease is looked at again together with the state, so a heartbeat or a settlement that came in
-- between wins, and two reapers charge once.
--
-- KEYS  1 record, 2 leases of its home shard, 3 expired holds of its owner (zset), 4.. hashes of the hold's budgets and concurrency counters (rings and
--       buckets were charged at the reservation)
-- ARGV  1 reservation id, 2 how long the expired hold can still be corrected (ms), 3 life of an idle counter (ms),
--       then 4 per accumulator: kind, amount held, a, b (as in reserve)
-- Reply 'expired', 'gone' (settled or unknown) or 'live' (the lease was extended)

local FIELDS = 4
local FIRST = 3

local record = redis.call('GET', KEYS[1])
if not record or string.sub(record, 1, 1) ~= 'R' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 'gone'
end
local lease = redis.call('ZSCORE', KEYS[2], ARGV[1])
if lease and tonumber(lease) > now_ms then return 'live' end

for i = 1, #KEYS - 3 do
  local at = FIRST + (i - 1) * FIELDS
  local key, kind, held = KEYS[i + 3], ARGV[at + 1], tonumber(ARGV[at + 2])
  if kind == 'b' then
    local a, b = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    post_counter(key, a == 0 and b == 0, held, held)
    keep_used(key, a, b)
  elseif redis.call('EXISTS', key) == 1 and post_counter(key, false, held, 0) == 0 then
    redis.call('PEXPIREAT', key, now_ms + tonumber(ARGV[3]))
  end
end
redis.call('SET', KEYS[1], 'X' .. string.sub(record, 2), 'PXAT', now_ms + tonumber(ARGV[2]))
redis.call('ZREM', KEYS[2], ARGV[1])
-- What can no longer be corrected is final: its owner need not look at it any more.
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now_ms - tonumber(ARGV[2]))
redis.call('ZADD', KEYS[3], now_ms, ARGV[1])
redis.call('PEXPIREAT', KEYS[3], now_ms + tonumber(ARGV[2]))
return 'expired'
