-- Gives holds of one shard another lease. A hold that is no longer there is not brought back: its id is answered.
--
-- An extension never shortens a lease.
--
-- Why one script: a hold that expires between the look and the write must stay expired.
--
-- KEYS  1 leases of the shard
-- ARGV  1 lease (ms), 2.. reservation ids
-- Reply the ids that are no longer held

local until_ms = now_ms + tonumber(ARGV[1])
local lost = {}
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], 'XX', 'GT', until_ms, ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
