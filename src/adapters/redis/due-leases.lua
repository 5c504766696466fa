-- Names the holds of one shard whose lease has run out, and puts the shard's entry in the index right.
--
-- Why one script: the index may say "not before" only while no earlier lease comes in.
--
-- KEYS  1 leases of the shard, 2 index of shards with leases
-- ARGV  1 the shard as the index names it, 2 most holds to name
-- Reply reservation ids, oldest lease first

local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #oldest == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return {}
end
redis.call('ZADD', KEYS[2], oldest[2], ARGV[1])
return redis.call('ZRANGE', KEYS[1], '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[2])
