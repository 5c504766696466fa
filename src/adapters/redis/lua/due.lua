-- Names the holds whose lease has run out, shard by shard. Reads only.
--
-- Why a script: what is due is a question to Redis's clock, and one call asks many shards.
--
-- KEYS  leases of shards
-- ARGV  1 most holds to name for one shard
-- Reply position among KEYS (from 0) and reservation id of each, a shard's oldest lease first

local due = {}
for i, key in ipairs(KEYS) do
  for _, id in ipairs(redis.call('ZRANGE', key, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
    due[#due + 1] = i - 1
    due[#due + 1] = id
  end
end
return due
